package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Device;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What steps do not compute with is in memory only while it is needed. */
class UnloadFrozenTest {
  private static final Caches.Listener NOBODY =
      new Caches.Listener() {
        @Override
        public void cached(String what, int there, int all, Path folder) {}

        @Override
        public void encoded(String what, int done, int missing) {}
      };

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny = TinySdxl.run(folder).withPaintedClassImages().with("max_train_steps", 4);
  }

  private static TinyTrainer trained(TinyRun run) {
    TinyTrainer made = new TinyTrainer(run);
    made.trainer.fillCaches(NOBODY, () -> false);
    return made.train();
  }

  private static List<Component> resting(TinyTrainer of) {
    return of.model.groups().stream()
        .filter(each -> each.parameters().rests())
        .map(Group::component)
        .toList();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train_text_encoder=false",
        "train_text_encoder=true",
        "stop_text_encoder=0.5 num_train_epochs=4 train_batch_size=3 max_train_steps=8",
        "train_text_encoder=false crop=random shuffle_tags=true",
        "train_text_encoder=false use_lora=true"
      })
  void shouldTrainTheSameBitForBit(String options) {
    tiny.withOptions(options);
    try (TinyTrainer plain = trained(tiny);
        TinyTrainer unloading = trained(tiny.with("unload_frozen", true))) {
      assertThat(unloading.timeless()).isEqualTo(plain.timeless());
      assertThat(resting(plain)).isEmpty();
      boolean texts = options.contains("train_text_encoder=false");
      assertThat(resting(unloading))
          .isEqualTo(
              texts
                  ? List.of(Component.TEXT_ENCODER, Component.TEXT_ENCODER_2, Component.VAE)
                  : List.of(Component.VAE));
      assertThat(unloading.unet()).isEqualTo(plain.unet());
      assertThat(unloading.text()).isEqualTo(plain.text());
    }
  }

  /** Read again for samples, which are the same, and let go after them. */
  @Test
  void shouldDrawTheSameSamples() {
    tiny.with("validation_prompt", "a man").with("num_validation_images", 2);
    try (TinyTrainer plain = trained(tiny);
        TinyTrainer unloading = trained(tiny.with("unload_frozen", true))) {
      long before = unloading.run.meter().liveBytes();
      List<SamplePictures.Sample> theirs = samples(plain);
      List<SamplePictures.Sample> ours = samples(unloading);
      for (int i = 0; i < 2; i++) {
        assertThat(ours.get(0).pictures().get(i).rgb())
            .isEqualTo(theirs.get(0).pictures().get(i).rgb());
      }
      assertThat(resting(unloading)).hasSize(3);
      assertThat(unloading.run.meter().liveBytes()).isEqualTo(before);
    }
  }

  private static List<SamplePictures.Sample> samples(TinyTrainer of) {
    return new SamplePictures(of.config, of.model, List.<Concept>of()).draw(of.run, () -> false);
  }

  /** Pictures are encoded before there are an optimizer's states. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldForetellThePeaksOfStepsAndOfWhatComesBefore(boolean unloads) {
    tiny.with("unload_frozen", unloads)
        .with("gradient_checkpointing", false)
        .with("cache_dir", folder.resolve("cache"));
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      Config config = trainer.config;
      MemoryPlan plan =
          MemoryPlan.of(
              ModelFolder.open(TinySdxl.MODEL, null), config, TinyRun.load(config), Device.CPU);
      trainer.run.meter().resetPeak();
      trainer.trainer.fillCaches(NOBODY, () -> false);
      long before = plan.always() - plan.optimizer() - plan.average() + plan.preparing();
      assertNear(before, trainer.run.meter().peakBytes());
      trainer.run.meter().resetPeak();
      trainer.train();
      assertNear(plan.always() + plan.activationBytes(), trainer.run.meter().peakBytes());
      assertThat(plan.frozen() == 0).isEqualTo(unloads);
    }
  }

  private static void assertNear(long planned, long measured) {
    assertThat(planned).isBetween((long) (0.95 * measured), (long) (1.05 * measured));
  }
}
