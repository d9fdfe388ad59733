package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.ComputeConfig.Target;
import dreambooth4j.config.ConfigReader.Reading;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A db_config.json of sd_dreambooth_extension is read as the extension reads it. */
class ExtensionFileTest extends ConfigFile {
  @Test
  void shouldTrainTheExtensionsOwnFileWithTheExtensionsDefaults() {
    Reading reading =
        ConfigReader.read(Path.of("src/test/resources/config/db_config.json"), Map.of());
    Config config = reading.config();
    assertThat(config.concepts()).hasSize(1);
    assertThat(config.concepts().get(0).classImages().numPer()).isEqualTo(5);
    assertThat(config.prior().withPriorPreservation()).isTrue();
    assertThat(config.prior().priorLossWeight()).isEqualTo(0.75);
    assertThat(config.training().stopTextEncoder()).isEqualTo(1);
    assertThat(config.data().captions().shuffleTags()).isTrue();
    assertThat(config.optimizer().schedule().warmupSteps()).isEqualTo(500);
    assertThat(config.memory()).isEqualTo(new MemoryConfig(Checkpointing.TRUE, true, false));
    assertThat(config.compute())
        .isEqualTo(
            new ComputeConfig(
                Target.AUTO, MixedPrecision.FP16, false, false, CudaGraph.FALSE, null));
    assertThat(reading.noEffect()).contains("attention", "graph_smoothing", "revision");
    assertThat(config.ema().used()).isFalse();
    assertThat(reading.remarks())
        .contains(
            "full_mixed_precision: true, but master weights stay in float32: set full_bf16: true to train without them",
            "train_batch_size: 1 counts rows in the extension; here it is 1 pair of an instance"
                + " and a class picture");
  }

  /** There the average is kept by use_ema, and becomes the model by infer_ema. */
  @Test
  void shouldAverageAsTheExtensionsTwoKeysSay() throws IOException {
    String start = "{model_name: x, revision: 1, instance_data_dir: a";
    EmaConfig extensions = read(start + ", use_ema: true, infer_ema: true}").ema();
    assertThat(extensions)
        .isEqualTo(new EmaConfig(true, 0.9999, EmaConfig.Warmup.NONE, 1, 0.75, 0, 0));
    assertThat(read(start + ", infer_ema: true}").ema().used()).isTrue();
    assertThat(read(start + "}").ema().used()).isFalse();
    Path file = file(start + ", use_ema: true, infer_ema: false}");
    Reading reading = ConfigReader.read(file, Map.of());
    assertThat(reading.config().ema().used()).isFalse();
    assertThat(reading.remarks())
        .anyMatch(each -> each.startsWith("use_ema: true, but with infer_ema: false"));
    Reading flag = ConfigReader.read(file, Map.of("use_ema", "true"));
    assertThat(flag.config().ema().used()).isTrue();
    assertThat(flag.remarks()).noneMatch(each -> each.contains("_ema"));
    Reading neither =
        ConfigReader.read(file(start + ", use_ema: false, infer_ema: true}"), Map.of());
    assertThat(neither.config().ema().used()).isFalse();
    assertThat(neither.remarks()).anyMatch(each -> each.startsWith("infer_ema: true, but without"));
  }

  /** There it changes nothing; who sets it wants long captions read. */
  @Test
  void shouldDoWhatTheExtensionsMaxTokenLengthOnlySays() throws IOException {
    Path file = file("{model_name: x, revision: 1, instance_data_dir: a, max_token_length: 150}");
    Reading reading = ConfigReader.read(file, Map.of());
    assertThat(reading.config().model().maxTokenLength()).isEqualTo(150);
    assertThat(reading.remarks())
        .contains("max_token_length: 150 works here, the extension reads 75");
    assertThat(reading.noEffect()).doesNotContain("max_token_length");
  }

  @Test
  void shouldKeepTheExtensionsDefaultsForKeysThatItsFileLacks() throws IOException {
    String start = "{model_name: x, revision: 1, instance_data_dir: a, class_token: man";
    Config config = read(start + ", train_batch_size: 2, num_class_images_per: 1}");
    assertThat(config.training().trainBatchSize()).isEqualTo(1);
    assertThat(config.prior().priorLossWeight()).isEqualTo(0.75);
    assertThat(read(start + "}").prior().withPriorPreservation()).isFalse();
    assertThat(read(start + ", train_batch_size: 2}").training().trainBatchSize()).isEqualTo(2);
    assertThat(
            ConfigReader.read(
                    file(start + ", num_class_images_per: 1}"), Map.of("train_batch_size", "3"))
                .config()
                .training()
                .trainBatchSize())
        .isEqualTo(3);
    assertThat(problem(start + ", train_imagic: true}")).contains("train_imagic");
  }
}
