package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.Safetensors;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class StableDiffusionTest {
  private static final Path MODEL = Path.of("src/test/resources/goldens/sd1/model");
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String TEXT = "text_encoder/model.safetensors";

  @TempDir private Path folder;

  @ParameterizedTest
  @EnumSource(names = {"UNET", "TEXT_ENCODER", "VAE"})
  void shouldFindABadWeightInEachGroup(Component component) {
    try (Arena run = Arena.open("run");
        StableDiffusion model = StableDiffusion.load(run, ModelFolder.open(MODEL, null))) {
      assertThat(model.firstBadWeight()).isNull();
      Parameter weight = model.parameters(component).all().get(1);
      float[] values = new float[(int) weight.count()];
      Arrays.fill(values, Float.NaN);
      weight.weight().copyFrom(values);
      assertThat(model.firstBadWeight()).contains(weight.name(), "of the " + component.folder());
    }
  }

  @Test
  void shouldSaveWhatTrainsAndCopyTheRest() throws Exception {
    try (Arena run = Arena.open("run");
        StableDiffusion model =
            StableDiffusion.load(run, ModelFolder.open(MODEL, null), Component.TEXT_ENCODER)) {
      assertThat(model.trained())
          .extracting(Group::component)
          .containsExactly(Component.TEXT_ENCODER);
      model.groups().forEach(group -> group.parameters().weights().zero_());
      model.save(run, Map.of(), folder);
      assertThat(folder.resolve(UNET)).hasSameBinaryContentAs(MODEL.resolve(UNET));
      try (Safetensors saved = Safetensors.open(folder.resolve(TEXT))) {
        for (String name : saved.tensors().keySet()) {
          Tensor tensor = saved.read(run, name);
          assertThat(tensor.toFloats()).containsOnly(0);
          tensor.release();
        }
      }
    }
  }

  /** The plan of a run's memory is made of such a model. */
  @Test
  void shouldHaveTheSameGroupsInADryArena() {
    ModelFolder source = ModelFolder.open(MODEL, null);
    try (Arena run = Arena.open("run");
        Arena plan = Arena.open("plan", OpBackend.dry(Device.CPU));
        StableDiffusion real = StableDiffusion.load(run, source, Component.UNET);
        StableDiffusion dry = StableDiffusion.load(plan, source, Component.UNET)) {
      assertThat(described(dry)).isEqualTo(described(real));
      assertThat(plan.meter().liveBytes()).isEqualTo(run.meter().liveBytes());
    }
  }

  private static List<String> described(StableDiffusion model) {
    return model.groups().stream()
        .map(g -> g.component() + " " + g.trains() + " " + g.parameters().byName().keySet())
        .toList();
  }
}
