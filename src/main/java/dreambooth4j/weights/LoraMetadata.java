package dreambooth4j.weights;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What a LoRA file says of itself in its header ({@code modelspec.…} as Stability's specification
 * has it, {@code ss_…} as kohya's scripts do) and beside it.
 */
final class LoraMetadata {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final LoraCard card;
  private final BaseKind base;
  private final boolean velocity;

  LoraMetadata(LoraCard card, BaseKind base, boolean velocity) {
    this.card = card;
    this.base = base;
    this.velocity = velocity;
  }

  /** Of adapters around a model's layers. */
  static LoraMetadata of(LoraCard card, ModelSource base) {
    boolean velocity = SaidPrediction.isVelocity(base);
    return new LoraMetadata(card, BaseKind.of(base, velocity), velocity);
  }

  /**
   * All entries of a header.
   *
   * @param hash of the tensors, SHA-256
   */
  Map<String, String> entries(LoraContents contents, String hash) {
    Map<String, String> entries = new TreeMap<>();
    BiConsumer<String, String> put =
        (key, value) -> {
          if (!value.isEmpty()) {
            entries.put(key, value);
          }
        };
    put.accept("modelspec.sai_model_spec", "1.0.1");
    put.accept("modelspec.architecture", base.architecture() + "/lora");
    put.accept("modelspec.implementation", base.implementation());
    put.accept("modelspec.title", card.title());
    put.accept(
        "modelspec.date",
        LocalDateTime.now(ZoneOffset.UTC).truncatedTo(ChronoUnit.SECONDS).toString());
    put.accept("modelspec.prediction_type", velocity ? "v" : "epsilon");
    put.accept("modelspec.trigger_phrase", card.trigger());
    if (card.width() > 0) {
      put.accept("modelspec.resolution", "%dx%d".formatted(card.width(), card.height()));
    }
    if (card.picture() != null) {
      put.accept("modelspec.thumbnail", card.picture().thumbnail());
    }
    put.accept("ss_base_model_version", base.kohya());
    put.accept("ss_v2", base.isSecond() ? "True" : "False");
    put.accept("ss_output_name", card.title());
    network(contents).forEach(put);
    card.training().forEach(put);
    put.accept("modelspec.hash_sha256", "0x" + hash);
    put.accept("sshs_model_hash", hash);
    return entries;
  }

  /** What kohya's tools list a network by. */
  private static Map<String, String> network(LoraContents contents) {
    Map<String, String> entries = new TreeMap<>();
    boolean lora = contents.items().stream().allMatch(each -> each.factor().isLora());
    entries.put("ss_network_module", lora ? "networks.lora" : "lycoris.kohya");
    Set<Long> ranks = LoraContents.different(contents.ranks().values());
    Set<Double> alphas = LoraContents.different(contents.alphas().values());
    entries.put("ss_network_dim", only(ranks));
    entries.put("ss_network_alpha", only(alphas));
    ObjectNode arguments = JSON.createObjectNode();
    if (contents.has(LoraFactor.HADA_W1_A)) {
      arguments.put("algo", "loha");
    } else if (!lora) {
      arguments.put("algo", "lokr");
    }
    if (contents.has(LoraFactor.MAGNITUDE)) {
      arguments.put("dora_wd", "True");
    }
    entries.put("ss_network_args", arguments.toString());
    return entries;
  }

  /** kohya's resizing script writes so of a file whose layers differ. */
  private static String only(Set<?> values) {
    return values.size() == 1 ? values.iterator().next().toString() : "Dynamic";
  }

  /** What is drawn with it; null where nothing was. */
  LoraCard.@Nullable Picture picture() {
    return card.picture();
  }

  /** A1111's and Forge's notes beside the file: what the card of the LoRA shows and puts in. */
  byte[] sidecar() {
    ObjectNode root = JSON.createObjectNode();
    root.put("description", card.title());
    root.put("sd version", base.webUi());
    root.put("activation text", card.trigger());
    root.put("preferred weight", 1.0);
    root.put("notes", "");
    return root.toPrettyString().getBytes(StandardCharsets.UTF_8);
  }
}
