package dreambooth4j.report;

import static dreambooth4j.Printable.number;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Printable;
import dreambooth4j.data.Grid;
import dreambooth4j.data.Label;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.Png;
import dreambooth4j.evaluate.BleedResult;
import dreambooth4j.evaluate.Interval;
import dreambooth4j.evaluate.Probe;
import dreambooth4j.weights.StagedFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What a training changed, as a table, one line, JSON and a sheet of pictures. */
public final class BleedFiles {
  /** Narrower pictures are shown enlarged, each pixel a square. */
  private static final int LEAST_WIDTH = 64;

  /** What stands between the base model's pictures and the trained model's, in pixels. */
  private static final int GAP = 8;

  /** Longer prompts are shortened in one line of several. */
  private static final int LONGEST_NAME = 40;

  private BleedFiles() {}

  /** Writes {@code bleed.json} and, where pictures were drawn, {@code bleed.png}, both or none. */
  public static List<Path> write(Path folder, BleedResult result, Map<String, Object> about) {
    List<Path> written = new ArrayList<>();
    try (StagedFiles files = new StagedFiles()) {
      Path json = folder.resolve("bleed.json");
      files.add(json, json(result, about).getBytes(StandardCharsets.UTF_8));
      written.add(json);
      if (result.rows().get(0).pictures() != null) {
        Path sheet = folder.resolve("bleed.png");
        files.add(sheet, Png.encode(sheet(result), Map.of()));
        written.add(sheet);
      }
      files.commit();
    }
    return written;
  }

  /**
   * The table for a terminal, a line a prompt, kind by kind.
   *
   * @param features folder of the model that pictures were compared by too; null for none
   */
  public static List<String> table(BleedResult result, @Nullable Path features) {
    boolean drawn = result.rows().get(0).pictures() != null;
    List<String> lines = new ArrayList<>();
    lines.add(line("%-20s %5s %5s%s  prompt", "towards", "bleed", "moved", heads(drawn)));
    lines.addAll(
        byKind(
            result.rows(),
            row ->
                line(
                    "%-20s %5s %5s%s",
                    shown(row.towards()),
                    number(row.bleed().value(), 2),
                    number(row.moved().value(), 2),
                    drawn ? numbers(row.pictures()) : "")));
    lines.add("");
    lines.add("towards: how far the answers to a prompt moved towards the subject's,");
    lines.add("  0 not at all, 1 all the way; in brackets, 95 % of other seeds");
    lines.add("bleed: how far they moved in any direction, by the same measure");
    lines.add("moved: how far they moved, of the way that the subject's own answers moved");
    if (drawn) {
      lines.add("drawn: how far pictures moved towards the subject's");
      lines.add("DIV: mean distance of a prompt's pictures, trained; before: by the base model");
    }
    BleedResult.Presence presence = result.presence();
    if (presence != null) {
      lines.add(
          "PRES: how alike the class's pictures and the subject's own are: %s; before: %s"
              .formatted(number(presence.after(), 3), number(presence.before(), 3)));
    }
    if (drawn) {
      lines.add("  (drawn, DIV, PRES: by features of the base model)");
    }
    if (features != null && drawn) {
      lines.addAll(seenTable(result, features));
    }
    return lines;
  }

  /** The same of pictures by another model's features, which have scales of their own. */
  private static List<String> seenTable(BleedResult result, Path features) {
    List<String> lines = new ArrayList<>();
    lines.add("");
    lines.add("Pictures by the features of " + Printable.line(features.toString()) + ":");
    lines.add(line("%-20s %6s %6s  prompt", "drawn", "DIV", "before"));
    lines.addAll(
        byKind(
            result.rows().stream().filter(row -> seen(row) != null).toList(),
            row -> numbers(Objects.requireNonNull(seen(row)))));
    BleedResult.Presence presence = result.presence();
    Double before = presence == null ? null : presence.seenBefore();
    Double after = presence == null ? null : presence.seenAfter();
    if (before != null && after != null) {
      lines.add("PRES: %s; before: %s".formatted(number(after, 3), number(before, 3)));
    }
    return lines;
  }

  private static BleedResult.@Nullable Seen seen(BleedResult.Row row) {
    return row.pictures() == null ? null : row.pictures().seen();
  }

  private static String numbers(BleedResult.Seen seen) {
    return line(
        "%-20s %6s %6s",
        shown(seen.towards()), number(seen.variety(), 4), number(seen.varietyBefore(), 4));
  }

  /** A line a prompt, which ends with it, under a heading for each kind of them. */
  private static List<String> byKind(
      List<BleedResult.Row> rows, Function<BleedResult.Row, String> numbers) {
    List<String> lines = new ArrayList<>();
    Probe.@Nullable Kind before = null;
    for (BleedResult.Row row : rows) {
      Probe.Kind kind = row.probe().kind();
      if (kind != before) {
        lines.add(kind + ":"); // frequent words apart from rare ones
        before = kind;
      }
      lines.add(numbers.apply(row) + "  " + Printable.line(row.probe().prompt()));
    }
    return lines;
  }

  private static String heads(boolean drawn) {
    return drawn ? line(" %5s %6s %6s", "drawn", "DIV", "before") : "";
  }

  private static String numbers(BleedResult.@Nullable Drawn pictures) {
    return pictures == null
        ? line(" %5s %6s %6s", "", "", "")
        : line(
            " %5s %6s %6s",
            number(pictures.towards().value(), 2),
            number(pictures.variety(), 4),
            number(pictures.varietyBefore(), 4));
  }

  /** What a run says at its end, to be understood by itself. */
  static String summary(BleedResult result) {
    Map<String, List<String>> groups = new LinkedHashMap<>();
    for (BleedResult.Row row : result.rows()) {
      String group =
          switch (row.probe().kind()) {
            case CLASS -> "class";
            case FREQUENT -> "frequent words";
            case RARE -> "rare words";
            case NEIGHBOUR -> "words like the class";
            case ASKED -> "asked";
            case SUBJECT, CONTROL -> ""; // the measure, and told as one below
          };
      if (!group.isEmpty()) {
        groups
            .computeIfAbsent(group, name -> new ArrayList<>())
            .add("'%s' %s".formatted(named(row.probe()), number(row.towards().value(), 2)));
      }
    }
    List<String> parts = new ArrayList<>();
    groups.forEach((group, words) -> parts.add(group + " " + String.join(", ", words)));
    Double controls = result.mean(Probe.Kind.CONTROL);
    if (controls != null) {
      parts.add("unrelated prompts " + number(controls, 2));
    }
    return "How far other words moved towards the subject '%s' (0 not at all, 1 all the way): %s"
        .formatted(named(result.rows().get(0).probe()), String.join("; ", parts));
  }

  private static String named(Probe of) {
    String prompt = Printable.line(of.prompt());
    return prompt.length() <= LONGEST_NAME
        ? prompt
        : prompt.substring(0, LONGEST_NAME).strip() + "…";
  }

  private static String shown(Interval of) {
    return "%s [%s, %s]"
        .formatted(number(of.value(), 2), number(of.low(), 2), number(of.high(), 2));
  }

  private static String json(BleedResult result, Map<String, Object> about) {
    Map<String, @Nullable Object> all = new LinkedHashMap<>(about);
    all.put("seeds", result.seeds());
    all.put("timesteps", result.timesteps());
    BleedResult.Presence presence = result.presence();
    if (presence != null) {
      all.put("pres", Map.of("before", presence.before(), "after", presence.after()));
      Double before = presence.seenBefore();
      Double after = presence.seenAfter();
      if (before != null && after != null) {
        all.put("features_pres", Map.of("before", before, "after", after));
      }
    }
    List<Object> rows = new ArrayList<>();
    for (BleedResult.Row row : result.rows()) {
      Map<String, Object> each = new LinkedHashMap<>();
      each.put("prompt", row.probe().prompt());
      each.put("kind", row.probe().kind().toString());
      each.put("captions", row.probe().captions());
      each.put("bleed", interval(row.bleed()));
      each.put("towards", interval(row.towards()));
      each.put("moved", interval(row.moved()));
      each.put("change", interval(row.change()));
      BleedResult.Drawn pictures = row.pictures();
      if (pictures != null) {
        each.put("pictures_towards", interval(pictures.towards()));
        each.put("div", Map.of("before", pictures.varietyBefore(), "after", pictures.variety()));
        BleedResult.Seen seen = pictures.seen();
        if (seen != null) {
          each.put("features_towards", interval(seen.towards()));
          each.put("features_div", Map.of("before", seen.varietyBefore(), "after", seen.variety()));
        }
      }
      rows.add(each);
    }
    all.put("prompts", rows);
    try {
      return new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(all) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // numbers and texts alone
    }
  }

  private static Map<String, Double> interval(Interval of) {
    Map<String, Double> ends = new LinkedHashMap<>();
    ends.put("value", of.value());
    ends.put("low", of.low());
    ends.put("high", of.high());
    return ends;
  }

  /** A prompt's pictures in a row, the base model's left. */
  private static Pixels sheet(BleedResult result) {
    List<Pixels> rows = new ArrayList<>();
    for (BleedResult.Row row : result.rows()) {
      BleedResult.Drawn pictures = row.pictures();
      if (pictures != null) {
        String label =
            "%s: base | trained, towards %s, drawn %s"
                .formatted(
                    row.probe().prompt(),
                    number(row.towards().value(), 2),
                    number(pictures.towards().value(), 2));
        rows.add(Label.above(beside(inARow(pictures.base()), inARow(pictures.trained())), label));
      }
    }
    return below(rows);
  }

  private static Pixels inARow(List<Pixels> pictures) {
    int factor = Math.max(1, (LEAST_WIDTH + pictures.get(0).width() - 1) / pictures.get(0).width());
    return Grid.of(pictures.stream().map(each -> each.enlarged(factor)).toList(), pictures.size());
  }

  private static Pixels beside(Pixels left, Pixels right) {
    int width = left.width() + GAP + right.width();
    byte[] all = new byte[width * left.height() * Pixels.CHANNELS];
    Arrays.fill(all, (byte) 255);
    for (int y = 0; y < left.height(); y++) {
      int at = y * width * Pixels.CHANNELS;
      copyRow(left, y, all, at);
      copyRow(right, y, all, at + (left.width() + GAP) * Pixels.CHANNELS);
    }
    return new Pixels(width, left.height(), all);
  }

  private static void copyRow(Pixels from, int y, byte[] to, int at) {
    int bytes = from.width() * Pixels.CHANNELS;
    System.arraycopy(from.rgb(), y * bytes, to, at, bytes);
  }

  /** One below the other; labels may make them of different heights. */
  private static Pixels below(List<Pixels> rows) {
    int width = rows.get(0).width();
    int height = rows.stream().mapToInt(Pixels::height).sum();
    byte[] all = new byte[Math.multiplyExact(width, height) * Pixels.CHANNELS];
    int at = 0;
    for (Pixels row : rows) {
      System.arraycopy(row.rgb(), 0, all, at, row.rgb().length);
      at += row.rgb().length;
    }
    return new Pixels(width, height, all);
  }

  private static String line(String format, @Nullable Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }
}
