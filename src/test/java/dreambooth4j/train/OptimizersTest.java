package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dreambooth4j.Problem;
import dreambooth4j.config.OptimizerName;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole runs by every optimizer that there is. */
class OptimizersTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("train_batch_size", 2)
            .with("max_train_steps", 10);
  }

  @Test
  void shouldHaveARuleForEveryName() {
    assertThat(Stream.of(OptimizerName.values()).map(OptimizerName::label))
        .containsExactlyElementsOf(UpdateRules.names());
  }

  @ParameterizedTest
  @EnumSource
  void shouldTrainAndGoOnExactly(OptimizerName name) {
    tiny.with("optimizer", name.label());
    Path checkpoint = folder.resolve("checkpoint-4");
    try (TinyTrainer whole = new TinyTrainer(tiny);
        TinyTrainer first = new TinyTrainer(tiny).train(4);
        TinyTrainer second = new TinyTrainer(tiny)) {
      var before = whole.unet();
      whole.train();
      assertThat(whole.reports).hasSize(10).noneMatch(Trainer.StepReport::skipped);
      assertThat(whole.unet()).isNotEqualTo(before);
      first.trainer.save(checkpoint);
      assertThat(second.trainer.resume(checkpoint)).isEmpty();
      second.train();
      assertThat(second.timeless()).isEqualTo(whole.timeless().subList(4, 10));
      assertThat(second.unet()).isEqualTo(whole.unet());
    }
  }

  /** AdamW's first step is as long as the learning rate, whatever the gradients. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldMoveTheTextEncoderAtItsOwnLearningRate(boolean fused) {
    tiny.with("train_text_encoder", true)
        .with("max_grad_norm", 0)
        .with("fused_backward_pass", fused)
        .with("adam_weight_decay", 0)
        .with("learning_rate", 1e-3);
    try (TinyTrainer usual = new TinyTrainer(tiny);
        TinyTrainer same = new TinyTrainer(tiny.with("text_encoder_learning_rate", 1e-3));
        TinyTrainer slow = new TinyTrainer(tiny.with("text_encoder_learning_rate", 1e-5))) {
      var before = usual.text();
      usual.train(1);
      slow.train(1);
      assertThat(slow.unet()).isEqualTo(usual.unet());
      assertThat(farthest(usual.text(), before)).isCloseTo(1e-3, withinPercentage(1));
      assertThat(farthest(slow.text(), before)).isCloseTo(1e-5, withinPercentage(5));
      usual.train();
      same.train();
      assertThat(same.text()).isEqualTo(usual.text());
      assertThat(same.unet()).isEqualTo(usual.unet());
      slow.train();
      assertThat(farthest(slow.text(), before)).isLessThan(2e-4);
      assertThat(farthest(usual.text(), before)).isGreaterThan(1e-3);
    }
  }

  /** How far the weight has moved that has moved farthest. */
  private static double farthest(Map<String, List<Float>> now, Map<String, List<Float>> before) {
    double most = 0;
    assertThat(now.keySet()).isEqualTo(before.keySet());
    for (Map.Entry<String, List<Float>> each : now.entrySet()) {
      List<Float> then = before.getOrDefault(each.getKey(), List.of());
      for (int i = 0; i < each.getValue().size(); i++) {
        most = Math.max(most, Math.abs(each.getValue().get(i) - (double) then.get(i)));
      }
    }
    return most;
  }

  @Test
  void shouldSayWhenAnotherLearningRateOfTheTextEncoderGoesOn() {
    Path checkpoint = folder.resolve("checkpoint");
    tiny.with("train_text_encoder", true);
    try (TinyTrainer first = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
    }
    try (TinyTrainer other = new TinyTrainer(tiny.with("text_encoder_learning_rate", 1e-5))) {
      assertThat(other.trainer.resume(checkpoint))
          .containsExactly("text_encoder_learning_rate was '', is '1.0E-5'");
    }
  }

  @Test
  void shouldRefuseACheckpointOfAnotherOptimizer() {
    Path checkpoint = folder.resolve("checkpoint");
    List<String> names = UpdateRules.names();
    try (TinyTrainer first = new TinyTrainer(tiny.with("optimizer", names.get(0)))) {
      first.trainer.save(checkpoint);
    }
    try (TinyTrainer other = new TinyTrainer(tiny.with("optimizer", names.get(1)))) {
      assertThatThrownBy(() -> other.trainer.resume(checkpoint))
          .isInstanceOf(Problem.class)
          .hasMessageContaining(
              "its optimizer is %s, this run's %s".formatted(names.get(0), names.get(1)))
          .hasMessageContaining("Resume with the configuration that wrote it");
    }
  }

  /** Of each weight AdamW remembers two numbers, Lion one. */
  @ParameterizedTest
  @CsvSource({"AdamW,8", "8bit AdamW,2", "Lion,4", "8bit Lion,1"})
  void shouldPlanWhatIsRemembered(String name, long bytesAWeight) {
    tiny.with("optimizer", name).with("max_train_steps", 2);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      trainer.run.meter().resetPeak();
      trainer.train();
      ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
      List<Concept> concepts = Concept.scanAll(trainer.config);
      MemoryPlan.Load load =
          MemoryPlan.Load.of(trainer.config, concepts, ClassImagePlan.of(trainer.config, concepts));
      MemoryPlan plan = MemoryPlan.of(base, trainer.config, load, Device.CPU);
      long weights = trainer.trainer.trained().stream().mapToLong(each -> each.flatCount()).sum();
      // Scales of moments in 8 bits are 4 bytes for each 256 of them.
      assertThat(plan.optimizer() / (double) weights)
          .isBetween((double) bytesAWeight, bytesAWeight * (1 + 4.0 / 256) + 0.001);
      long measured = trainer.run.meter().peakBytes();
      assertThat(plan.always() + plan.activationBytes())
          .isBetween((long) (0.95 * measured), (long) (1.05 * measured));
    }
  }
}
