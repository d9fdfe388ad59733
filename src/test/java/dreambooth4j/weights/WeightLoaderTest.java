package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WeightLoaderTest {
  @TempDir Path folder;
  private Arena run = Arena.open("run");

  @BeforeEach
  void open() {
    run.close();
    run = Arena.open("run");
  }

  @AfterEach
  void close() {
    run.close();
  }

  private Path file(Map<String, long[]> shapes) {
    Path path = folder.resolve("a.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    shapes.forEach((name, shape) -> writer.add(name, run.zeros(name, DType.F32, shape)));
    writer.write(run, path);
    return path;
  }

  private void load(Component component, Path file, Parameters parameters) {
    try (Safetensors source = Safetensors.open(file)) {
      WeightLoader.load(component, source, parameters);
    }
  }

  private Parameters parameters(Map<String, long[]> shapes) {
    Parameters parameters = new Parameters(DType.F32);
    shapes.forEach(parameters::declare);
    parameters.allocate(run, false);
    return parameters;
  }

  @Test
  void shouldListAllThatDoesNotFitInOneMessage() {
    Parameters parameters =
        parameters(Map.of("missing", new long[] {1}, "wrong", new long[] {2, 3}));
    Path file = file(Map.of("wrong", new long[] {3, 2}, "surplus", new long[] {4}));
    assertThatThrownBy(() -> load(Component.UNET, file, parameters))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("a.safetensors: 3 tensors do not fit")
        .hasMessageContaining("a.safetensors: tensor missing: expected [1], found none")
        .hasMessageContaining("tensor wrong: expected numbers [2, 3], found F32[3, 2]")
        .hasMessageContaining("tensor surplus: expected no such tensor, found F32[4]");
  }

  @Test
  void shouldCountWhatItDoesNotList() {
    Parameters parameters = new Parameters(DType.F32);
    for (int i = 0; i < 20; i++) {
      parameters.declare("w" + i, 1);
    }
    parameters.allocate(run, false);
    assertThatThrownBy(() -> load(Component.UNET, file(Map.of()), parameters))
        .hasMessageContaining("20 tensors do not fit")
        .hasMessageContaining("tensor w7: ")
        .hasMessageContaining("and 12 more")
        .message()
        .doesNotContain("w8");
  }

  @Test
  void shouldRejectIntegersForWeights() {
    Path path = folder.resolve("a.safetensors");
    new SafetensorsWriter().add("w", run.zeros("w", DType.I64, 2)).write(run, path);
    assertThatThrownBy(() -> load(Component.UNET, path, parameters(Map.of("w", new long[] {2}))))
        .hasMessageContaining("tensor w: expected numbers [2], found I64[2]");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "text_model."})
  void shouldLoadTextEncodersOfBothGenerations(String prefix) {
    Path path = folder.resolve("a.safetensors");
    new SafetensorsWriter()
        .add(prefix + "final_layer_norm.weight", run.floats("w", new float[] {1, 2}, 2))
        .add(prefix + "embeddings.position_ids", run.zeros("ids", DType.I64, 1, 77))
        .write(run, path);
    Parameters parameters = parameters(Map.of("final_layer_norm.weight", new long[] {2}));
    load(Component.TEXT_ENCODER, path, parameters);
    assertThat(parameters.all().get(0).weight().toFloats()).containsExactly(1, 2);
  }

  @Test
  void shouldRejectATensorUnderBothNames() {
    Path file = file(Map.of("x", new long[] {1}, "text_model.x", new long[] {1}));
    assertThatThrownBy(
            () -> load(Component.TEXT_ENCODER, file, parameters(Map.of("x", new long[] {1}))))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected once, found");
  }

  @Test
  void shouldLoadAttentionUnderItsOldNames() {
    String at = "decoder.mid_block.attentions.0.";
    Map<String, String> names =
        Map.of("query", "to_q", "key", "to_k", "value", "to_v", "proj_attn", "to_out.0");
    Path path = folder.resolve("a.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    Parameters parameters = new Parameters(DType.F32);
    names.forEach(
        (old, todays) -> {
          float[] values = {old.length(), 1, 2, 3};
          // Linear layers, which the oldest files hold as 1×1 convolutions.
          long[] shape = old.equals("key") ? new long[] {2, 2, 1, 1} : new long[] {2, 2};
          writer.add(at + old + ".weight", run.floats(old, values, shape));
          parameters.declare(at + todays + ".weight", 2, 2);
        });
    writer.write(run, path);
    parameters.allocate(run, false);
    load(Component.VAE, path, parameters);
    parameters.all().forEach(each -> assertThat(each.weight().toFloats()).endsWith(1, 2, 3));
    var byName = parameters.byName();
    names.forEach(
        (old, todays) ->
            assertThat(byName)
                .extractingByKey(at + todays + ".weight")
                .satisfies(w -> assertThat(w.weight().toFloats()[0]).isEqualTo(old.length())));
  }

  @ParameterizedTest
  @ValueSource(strings = {"UNET", "VAE", "TEXT_ENCODER"})
  void shouldLoadWhatDiffusersWrote(Component component) {
    Parameters parameters = Golden.parameters(run, component);
    assertThat(parameters.count()).isGreaterThan(50_000);
    assertThat(parameters.weights().isFinite()).isTrue();
  }
}
