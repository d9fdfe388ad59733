package dreambooth4j.train;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Thumbnail;
import dreambooth4j.weights.LoraCard;
import dreambooth4j.weights.LoraNaming;
import dreambooth4j.weights.LoraWriter;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** What a run's LoRA files are called, and what they say of themselves. */
final class LoraCards {
  private static final int LONGEST_NAME = 60;

  /** As Stability AI's specification asks for. */
  private static final int THUMBNAIL_SIDE = 256;

  private static final String WORDS = "[filewords]";

  /** Tags of a concept that the file counts, the most frequent ones, and how long one may be. */
  private static final int MOST_TAGS = 500;

  private static final int LONGEST_TAG = 200;

  private LoraCards() {}

  /** What writes the adapters of a run around {@code base} that learns from these concepts. */
  static LoraWriter writer(Config config, ModelSource base, List<Concept> concepts) {
    LoraConfig lora = config.lora();
    return new LoraWriter(
        base,
        new LoraWriter.Form(name(config), namings(lora.files()), Precision.ofLoraFile(config)),
        rank -> lora.alphaOf((int) rank),
        cards(config, concepts));
  }

  private static Supplier<LoraCard> cards(Config config, List<Concept> concepts) {
    String tags = tags(concepts);
    return () -> card(config, tags);
  }

  private static Set<LoraNaming> namings(LoraConfig.Files files) {
    return switch (files) {
      case KOHYA -> Set.of(LoraNaming.KOHYA);
      case DIFFUSERS -> Set.of(LoraNaming.DIFFUSERS);
      case BOTH -> Set.of(LoraNaming.KOHYA, LoraNaming.DIFFUSERS);
    };
  }

  /** The concepts' names. */
  static String name(Config config) {
    String all =
        config.concepts().stream().map(ConceptConfig::name).collect(Collectors.joining("-"));
    String plain = all.replaceAll("[^\\p{L}\\p{N}_-]+", "-").replaceAll("^-+|-+$", "");
    String shorter = plain.substring(0, Math.min(plain.length(), LONGEST_NAME));
    return shorter.isEmpty() ? "lora" : shorter;
  }

  private static LoraCard card(Config config, String tags) {
    int side = config.data().resolution();
    String trigger =
        config.concepts().stream()
            .map(LoraCards::trigger)
            .filter(each -> !each.isEmpty())
            .distinct()
            .collect(Collectors.joining(", "));
    Map<String, String> notes = new TreeMap<>();
    if (!config.output().noMetadata()) {
      notes.putAll(training(config));
      notes.put("ss_tag_frequency", tags);
    }
    return new LoraCard(name(config), trigger, side, side, notes, picture(config));
  }

  /** How often the pictures' prompts have each tag, the most frequent first, by concept. */
  private static String tags(List<Concept> concepts) {
    ObjectNode root = new ObjectMapper().createObjectNode();
    for (Concept concept : concepts) {
      Map<String, Integer> counts = new TreeMap<>();
      for (Picture picture : concept.pictures()) {
        for (String tag : picture.instancePrompt().split(",", -1)) {
          String word = tag.strip();
          if (!word.isEmpty() && word.length() <= LONGEST_TAG) {
            counts.merge(word, 1, Integer::sum);
          }
        }
      }
      ObjectNode shown = root.putObject(concept.config().name());
      counts.entrySet().stream()
          .sorted(Map.Entry.<String, Integer>comparingByValue().reversed())
          .limit(MOST_TAGS)
          .forEach(each -> shown.put(each.getKey(), each.getValue()));
    }
    return root.toString();
  }

  /** The newest sample of the first concept that has one; null where none is drawn yet. */
  private static LoraCard.@Nullable Picture picture(Config config) {
    for (ConceptConfig concept : config.concepts()) {
      Path newest = newestSample(config.output().outputDir(), concept.name());
      if (newest != null) {
        try {
          Thumbnail small = Thumbnail.of(newest, THUMBNAIL_SIDE);
          String data = Base64.getEncoder().encodeToString(small.file());
          return new LoraCard.Picture(
              StagedFiles.Body.of(newest), "data:%s;base64,%s".formatted(small.mediaType(), data));
        } catch (Problem e) {
          return null; // somebody has changed it: a card without a picture is one all the same
        }
      }
    }
    return null;
  }

  private static @Nullable Path newestSample(Path output, String concept) {
    Path folder = output.resolve("samples");
    try {
      return FolderEntries.of(folder).stream()
          .filter(
              file ->
                  String.valueOf(file.getFileName())
                      .matches("\\d{6,}-" + Pattern.quote(concept) + "\\.png"))
          .max(Comparator.comparing(file -> String.valueOf(file.getFileName())))
          .orElse(null);
    } catch (IOException e) {
      return null; // there is no such folder yet
    }
  }

  /** The word for the subject, or the prompt that is the same for all of its pictures. */
  private static String trigger(ConceptConfig concept) {
    if (!concept.instanceToken().isEmpty()) {
      return concept.instanceToken();
    }
    return concept.instancePrompt().contains(WORDS) ? "" : concept.instancePrompt();
  }

  /** kohya's names. */
  private static Map<String, String> training(Config config) {
    Map<String, String> notes = new TreeMap<>();
    double rate = config.optimizer().learningRate();
    notes.put("ss_learning_rate", Double.toString(rate));
    notes.put("ss_unet_lr", Double.toString(rate));
    if (config.training().trainTextEncoder()) {
      notes.put(
          "ss_text_encoder_lr", Double.toString(rate * config.optimizer().textEncoderRateFactor()));
    }
    notes.put("ss_lr_scheduler", config.optimizer().schedule().scheduler().toString());
    notes.put("ss_optimizer", config.optimizer().name().label());
    notes.put("ss_seed", Long.toString(config.training().seed()));
    notes.put("ss_batch_size_per_device", Integer.toString(config.training().trainBatchSize()));
    notes.put("ss_mixed_precision", config.compute().mixedPrecision().toString());
    notes.put("ss_prior_loss_weight", Double.toString(config.prior().priorLossWeight()));
    notes.put("ss_resolution", "(%1$d, %1$d)".formatted(config.data().resolution()));
    String base = config.model().required();
    notes.put("ss_sd_model_name", String.valueOf(Path.of(base).getFileName()));
    return notes;
  }
}
