package dreambooth4j.report;

import com.samskivert.mustache.Mustache;
import com.samskivert.mustache.Template;
import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.data.CropBox;
import dreambooth4j.data.Parallel;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Thumbnail;
import dreambooth4j.model.TokenCount;
import dreambooth4j.page.Html;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.weights.StagedFiles;
import java.io.BufferedWriter;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The data report as a page: {@code data-report.html}, a Mustache template, with its style and
 * script inside. The template sees what is public here by its name. Pictures are encoded as they
 * are written, so that a large page is never in memory as a whole. A content security policy lets
 * nothing run or load but what we put there, whatever captions hold.
 */
public final class DataPage {
  /** Class images of a pool that are shown; fewer where there are many pools. */
  private static final int[][] STRIPS = {{0, 8}, {100, 4}, {1000, 2}};

  private static final int STRIP_SIDE = 96;
  private static final int MASK_SIDE = 256;
  private static final int MOST_CASES = 100;

  private final DataReport report;
  private final WordTable words;
  private final IdentityHashMap<PictureLook, Integer> numbers = new IdentityHashMap<>();
  private final Map<Path, Integer> anchors =
      new HashMap<>(); // the first of a file in several concepts
  private final Map<Path, List<Note>> notes = new HashMap<>();
  private final Map<ClassPool, Pool> pools = new LinkedHashMap<>();

  /** Something to warn of beside a picture. */
  record Note(String label, String detail) {}

  /** A picture that a finding is about; {@code anchor} is empty if it is not on the page. */
  record Mention(String anchor, String name, String detail) {}

  record Warning(String label, String text, List<Mention> mentions, int more) {}

  record Size(String bucket, int count) {}

  record Broken(String name, String why) {}

  record Subject(
      String name,
      String folder,
      String instanceToken,
      String classToken,
      int pictures,
      List<Size> sizes,
      List<String> notes,
      List<Broken> refused,
      Iterable<Card> cards) {}

  /** A prompt as it is shown: what of it is read, what is not, and how many tokens it has. */
  record Shown(String read, String cutOff, String tokens) {
    static Shown of(PictureLook.Prompt prompt) {
      TokenCount count = prompt.count();
      String tokens = count == null ? "" : count.tokens() + " of " + count.limit() + " tokens";
      return new Shown(prompt.read(), prompt.cutOff(), tokens);
    }
  }

  record Wording(Shown instancePrompt, @Nullable Shown classCaption, @Nullable Pool pool) {}

  /** The class images of one pool. */
  record Pool(int number, ClassImagePlan.Need need, List<Strip> strip) {
    String bucket() {
      return need.pool().bucket().toString();
    }

    String caption() {
      return whole() ? "(each picture's own)" : need.pool().caption();
    }

    boolean whole() {
      return need.concept().classImages().unmatched();
    }

    boolean complete() {
      return need.missing() == 0 && !need.present().isEmpty();
    }

    /** How many are there and how many are not. */
    String state() {
      int there = need.present().size();
      if (whole() || there > need.needed()) {
        return there + " there";
      }
      String missing = need.missing() > 0 ? ", " + need.missing() + " to make" : "";
      return there + " of " + need.needed() + " there" + missing;
    }

    int more() {
      return need.present().size() - strip.size();
    }
  }

  /** A class image, or what is wrong with it. */
  record Strip(@Nullable Image image, String name, String error) {}

  /** A thumbnail, which becomes text only when it is written. */
  record Image(Thumbnail thumbnail, int width, int height) {
    static Image of(Thumbnail thumbnail) {
      return new Image(thumbnail, thumbnail.source().width(), thumbnail.source().height());
    }

    String src() {
      String data = Base64.getEncoder().encodeToString(thumbnail.file());
      return "data:" + thumbnail.mediaType() + ";base64," + data;
    }
  }

  /** An instance picture with all that is said of it. */
  record Card(
      int number,
      String name,
      Image image,
      @Nullable Image mask,
      String maskNote,
      CropBox box,
      boolean random,
      List<String> captions,
      List<Wording> wordings,
      List<Note> notes) {
    boolean warned() {
      return !notes.isEmpty();
    }

    int right() {
      return box.left() + box.bucket().width();
    }

    int bottom() {
      return box.top() + box.bucket().height();
    }

    String scale() {
      return String.format(Locale.ROOT, "%.3f", box.scale());
    }

    /** How much of the picture is cut away; empty if nothing is. */
    String lost() {
      double kept = (double) box.bucket().width() * box.bucket().height();
      double lost = 100 * (1 - kept / ((double) box.width() * box.height()));
      return lost < 0.05 ? "" : String.format(Locale.ROOT, lost < 1 ? "%.1f %%" : "%.0f %%", lost);
    }
  }

  /** A word and the part of the prompts that have it, in percent. */
  record WordRow(WordTable.WordCount word, long instancePart, long classPart, String note) {}

  private DataPage(DataReport report) {
    this.report = report;
    DataScan scan = report.scan();
    this.words = WordTable.of(scan.pictures(), scan.plan(), scan.config().concepts());
    for (PictureLook look : report.looks()) {
      int number = numbers.size() + 1;
      numbers.put(look, number);
      anchors.putIfAbsent(look.picture().file(), number);
    }
    for (Finding finding : report.findings()) {
      for (Finding.Case each : finding.cases()) {
        notes
            .computeIfAbsent(each.file(), file -> new ArrayList<>())
            .add(new Note(finding.kind().label(), each.detail()));
      }
    }
    addPools(report.scan().plan().needs());
  }

  /**
   * Writes the page: one file that needs no other, whole or not at all.
   *
   * @throws Problem if it cannot be written
   */
  public static void write(DataReport report, Path file) {
    DataPage page = new DataPage(report);
    Template template =
        Mustache.compiler()
            .emptyStringIsFalse(true)
            .zeroIsFalse(true)
            .compile(resource("data-report.html"));
    StagedFiles.write(
        file,
        channel -> {
          Writer out = new BufferedWriter(Channels.newWriter(channel, StandardCharsets.UTF_8));
          template.execute(page, out);
          out.flush();
        });
  }

  private void addPools(List<ClassImagePlan.Need> needs) {
    int most = 0;
    for (int[] each : STRIPS) {
      most = needs.size() >= each[0] ? each[1] : most;
    }
    int shown = most;
    List<List<Strip>> strips =
        Parallel.map(
            needs, 1, need -> need.present().stream().limit(shown).map(DataPage::strip).toList());
    for (int i = 0; i < needs.size(); i++) {
      pools.put(needs.get(i).pool(), new Pool(i + 1, needs.get(i), strips.get(i)));
    }
  }

  private static Strip strip(ClassImage image) {
    String name = String.valueOf(image.file().getFileName());
    try {
      return new Strip(Image.of(Thumbnail.of(image.file(), STRIP_SIDE)), name, "");
    } catch (Problem e) {
      return new Strip(null, name, String.valueOf(e.getMessage()));
    }
  }

  // What the template sees.

  String title() {
    List<ConceptConfig> concepts = report.scan().config().concepts();
    return String.join(", ", concepts.stream().map(ConceptConfig::name).toList());
  }

  String style() {
    return resource("data-report.css");
  }

  String script() {
    return resource("data-report.js");
  }

  String policy() {
    return Html.policy(new String[] {style()}, new String[] {script()});
  }

  int pictures() {
    return report.looks().size() + report.refused().size();
  }

  long sizes() {
    return report.looks().stream().map(look -> look.picture().bucket()).distinct().count();
  }

  boolean hasPools() {
    return !pools.isEmpty();
  }

  int present() {
    return report.scan().plan().present();
  }

  int missing() {
    return report.scan().plan().missing();
  }

  Iterable<Pool> pools() {
    return pools.values();
  }

  /** The most tokens that a prompt has; empty if they were not counted. */
  String longest() {
    return report.looks().stream()
        .flatMap(PictureLook::prompts)
        .map(PictureLook.Prompt::count)
        .filter(count -> count != null)
        .max((a, b) -> Integer.compare(a.tokens(), b.tokens()))
        .map(count -> count.tokens() + " of " + count.limit())
        .orElse("");
  }

  String warningCount() {
    int count = report.findings().size();
    return count == 0 ? "no" : Integer.toString(count);
  }

  boolean oneWarning() {
    return report.findings().size() == 1;
  }

  List<Warning> warnings() {
    return report.findings().stream()
        .map(
            finding ->
                new Warning(
                    finding.kind().label(),
                    finding.text(),
                    finding.cases().stream().limit(MOST_CASES).map(this::mention).toList(),
                    Math.max(0, finding.cases().size() - MOST_CASES)))
        .toList();
  }

  private Mention mention(Finding.Case each) {
    Integer number = anchors.get(each.file());
    String anchor = number == null ? "" : "#picture-" + number;
    return new Mention(anchor, String.valueOf(each.file().getFileName()), each.detail());
  }

  Iterable<Subject> subjects() {
    return report.scan().concepts().stream().map(this::subject).toList();
  }

  private Subject subject(Concept concept) {
    List<PictureLook> its =
        report.looks().stream().filter(l -> l.picture().concept() == concept.index()).toList();
    Map<String, Integer> sizes = new TreeMap<>();
    its.forEach(look -> sizes.merge(look.picture().bucket().toString(), 1, Integer::sum));
    List<Broken> refused =
        report.refused().stream()
            .filter(each -> each.concept() == concept.index())
            .map(each -> new Broken(name(concept.config(), each.file()), each.reason()))
            .toList();
    ConceptConfig config = concept.config();
    return new Subject(
        config.name(),
        config.instanceDataDir().toString(),
        config.instanceToken(),
        config.classImages().token(),
        its.size() + refused.size(),
        sizes.entrySet().stream().map(each -> new Size(each.getKey(), each.getValue())).toList(),
        concept.notes(),
        refused,
        () -> its.stream().map(this::card).iterator());
  }

  private Card card(PictureLook look) {
    Picture picture = look.picture();
    List<Wording> wordings = new ArrayList<>();
    List<Picture> variants = picture.variants();
    for (int i = 0; i < variants.size(); i++) {
      PictureLook.Wording each = look.wordings().get(i);
      boolean hasClass = !each.classCaption().text().isEmpty();
      wordings.add(
          new Wording(
              Shown.of(each.instance()),
              hasClass ? Shown.of(each.classCaption()) : null,
              pools.get(variants.get(i).pool())));
    }
    return new Card(
        numbers.getOrDefault(look, 0),
        name(look.concept(), picture.file()),
        Image.of(look.thumbnail()),
        mask(picture),
        maskNote(picture),
        look.box(),
        picture.crop().random(),
        look.captions(),
        wordings,
        notes.getOrDefault(picture.file(), List.of()));
  }

  /** What of a picture counts, to be laid over it; null if all of it does, or its opacity says. */
  private @Nullable Image mask(Picture picture) {
    Path mask = masks() ? picture.mask() : null;
    try {
      return mask == null ? null : Image.of(Thumbnail.of(mask, MASK_SIDE));
    } catch (Problem e) {
      return null; // the note says where it is, and training why it cannot be read
    }
  }

  private String maskNote(Picture picture) {
    if (!masks()) {
      return "";
    }
    Path mask = picture.mask();
    return mask == null
        ? "no mask file: where the picture is transparent it does not count, otherwise all of it does"
        : "masked by " + mask.getFileName() + ": what is dark here counts little";
  }

  private boolean masks() {
    return report.scan().config().loss().masked();
  }

  private static String name(ConceptConfig concept, Path file) {
    Path folder = concept.instanceDataDir();
    return (file.startsWith(folder) ? folder.relativize(file) : file).toString();
  }

  List<WordRow> words() {
    return words.rows().stream()
        .map(
            each -> {
              boolean only = each.inInstances() > 0 && each.inClassImages() == 0;
              String note = each.isToken() ? "name" : only && hasPools() ? "subject only" : "";
              return new WordRow(
                  each,
                  percent(each.inInstances(), words.instances()),
                  percent(each.inClassImages(), words.classImages()),
                  note);
            })
        .toList();
  }

  WordTable counts() {
    return words;
  }

  private static long percent(int part, int all) {
    return all == 0 ? 0 : Math.round(100.0 * part / all);
  }

  private static String resource(String name) {
    return Html.resource(DataPage.class, name);
  }
}
