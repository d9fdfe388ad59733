package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.weights.ModelFolder;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole runs by the options of the loss; their formulas are held by the recorded cases. */
class LossOptionsTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("train_batch_size", 2)
            .with("max_train_steps", 3);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "loss_type=huber",
        "loss_type=smooth_l1 huber_schedule=exponential debiased_estimation_loss=true",
        "split_loss=false",
        "offset_noise=0.1 noise_offset_random_strength=true adaptive_noise_scale=0.2",
        "offset_noise=0.1 generalized_offset_noise=true",
        "multires_noise_iterations=6",
        "ip_noise_gamma=0.1 ip_noise_gamma_random_strength=true",
        "perturbation_noise_weight=0.1",
        "use_dream=true",
        "use_dream=true train_text_encoder=true",
        "v_parameterization=true use_dream=true scale_v_pred_loss_like_noise_pred=true",
        "min_timestep=100 max_timestep=400",
        "timestep_distribution=logit_normal timestep_shift=2",
        "timestep_distribution=sigmoid noising_weight=3",
      })
  void shouldLearnOtherwiseAndGoOnExactly(String options) {
    Path checkpoint = folder.resolve("checkpoint-1");
    Map<String, ?> plain;
    try (TinyTrainer trainer = new TinyTrainer(tiny).train()) {
      plain = trainer.unet();
    }
    tiny.withOptions(options);
    try (TinyTrainer whole = new TinyTrainer(tiny).train();
        TinyTrainer first = new TinyTrainer(tiny).train(1);
        TinyTrainer second = new TinyTrainer(tiny)) {
      assertThat(whole.reports).hasSize(3).noneMatch(Trainer.StepReport::skipped);
      assertThat(whole.unet()).isNotEqualTo(plain);
      first.trainer.save(checkpoint);
      assertThat(second.trainer.resume(checkpoint)).isEmpty();
      assertThat(second.train().unet()).isEqualTo(whole.unet());
    }
  }

  /** Masks are no pictures, and what is masked out is not learnt from. */
  @Test
  void shouldLearnOnlyFromWhatMasksShow() throws IOException {
    tiny.withOptions("masked_loss=true prior_loss_weight=0 adam_weight_decay=0");
    for (int i = 0; i < 5; i++) {
      int width = i < 3 ? 32 : 48;
      BufferedImage black = new BufferedImage(width, 32, BufferedImage.TYPE_BYTE_GRAY);
      ImageIO.write(black, "png", tiny.pictures().resolve("p" + i + ".mask.png").toFile());
    }
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      var before = trainer.unet();
      trainer.train();
      assertThat(trainer.reports).hasSize(3).allMatch(step -> step.losses().instance() == 0);
      assertThat(trainer.unet()).isEqualTo(before);
    }
    tiny.with("unmasked_weight", 0.1);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      var before = trainer.unet();
      assertThat(trainer.train(1).unet()).isNotEqualTo(before);
    }
  }

  /** What it was trained for is what others draw with. */
  @Test
  void shouldSaveTheScheduleThatWasTrained() throws IOException {
    tiny.withOptions("zero_terminal_snr=true v_parameterization=true");
    Path model = folder.resolve("base");
    copy(TinyRun.MODEL, model);
    Path config = model.resolve("scheduler/scheduler_config.json");
    Files.writeString(
        config, Files.readString(config).replaceAll("PNDMScheduler", "DDIMScheduler"));
    tiny.with("pretrained_model_name_or_path", model);
    try (TinyTrainer trainer = new TinyTrainer(tiny).train()) {
      trainer.model.save(trainer.run, Map.of(), folder.resolve("saved"));
    }
    String saved = Files.readString(folder.resolve("saved/scheduler/scheduler_config.json"));
    assertThat(saved)
        .containsPattern("\"rescale_betas_zero_snr\" : true")
        .containsPattern("\"timestep_spacing\" : \"trailing\"")
        .containsPattern("\"prediction_type\" : \"v_prediction\"");
    assertThat(ModelFolder.open(folder.resolve("saved"), null).path()).exists();
  }

  @Test
  void shouldNotTrainALoraForVelocityBesideABaseThatPredictsNoise() {
    tiny.withOptions("use_lora=true v_parameterization=true");
    assertThatThrownBy(() -> new TinyTrainer(tiny))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("v_parameterization: the base model predicts the noise")
        .hasMessageContaining("use_lora: false");
  }

  private static void copy(Path from, Path to) throws IOException {
    try (var files = Files.walk(from)) {
      for (Path each : files.toList()) {
        Path target = to.resolve(from.relativize(each).toString());
        Files.createDirectories(Files.isDirectory(each) ? target : target.getParent());
        if (!Files.isDirectory(each)) {
          Files.copy(each, target);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "zero_terminal_snr=true",
        "min_timestep=1000",
        "max_timestep=1001",
        "v_pred_like_loss=1 v_parameterization=true",
        "scale_v_pred_loss_like_noise_pred=true"
      })
  void shouldRefuseWhatTheModelCannotBeTrainedFor(String options) {
    tiny.withOptions(options);
    assertThatThrownBy(
            () -> {
              try (Arena run = Arena.open("run");
                  TinyTrainer trainer = new TinyTrainer(tiny, run)) {
                trainer.train(1);
              }
            })
        .isInstanceOf(Problem.class);
  }
}
