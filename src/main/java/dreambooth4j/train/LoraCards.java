package dreambooth4j.train;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.engine.DType;
import dreambooth4j.weights.LoraCard;
import dreambooth4j.weights.LoraNaming;
import dreambooth4j.weights.LoraWriter;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What a run's LoRA files are called, and what they say of themselves. */
final class LoraCards {
  private static final int LONGEST_NAME = 60;
  private static final String WORDS = "[filewords]";

  private LoraCards() {}

  /** What writes the adapters of a run around {@code base}. */
  static LoraWriter writer(Config config, ModelSource base) {
    LoraConfig lora = config.lora();
    return new LoraWriter(
        base,
        new LoraWriter.Form(
            name(config), namings(lora.files()), lora.half() ? DType.F16 : DType.F32),
        rank -> lora.alphaOf((int) rank),
        () -> card(config));
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
    String plain =
        all.replaceAll("[^\\p{L}\\p{N}_-]+", "-").replaceAll("^-+|-+$", "");
    String shorter = plain.substring(0, Math.min(plain.length(), LONGEST_NAME));
    return shorter.isEmpty() ? "lora" : shorter;
  }

  private static LoraCard card(Config config) {
    int side = config.data().resolution();
    String trigger =
        config.concepts().stream()
            .map(LoraCards::trigger)
            .filter(each -> !each.isEmpty())
            .distinct()
            .collect(Collectors.joining(", "));
    return new LoraCard(name(config), trigger, side, side, training(config), null);
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
          "ss_text_encoder_lr",
          Double.toString(rate * config.optimizer().textEncoderRateFactor()));
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
