package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.config.Config;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.TestPictures;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** SDXL trained as a run trains it: its second text encoder, and what its UNet is told beside. */
class SdxlTest {
  /** SDXL 1.0's config.json files, without its weights. */
  private static final Path WHOLE = Path.of("src/test/resources/models/sdxl");

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny = TinySdxl.run(folder).withPaintedClassImages().with("num_train_epochs", 2);
  }

  private static Set<String> unchanged(TinyTrainer now, TinyTrainer before, Component component) {
    Map<String, List<Float>> weights = now.weights(component);
    Set<String> names = new TreeSet<>(weights.keySet());
    Map<String, List<Float>> others = before.weights(component);
    names.removeIf(name -> !Objects.equals(weights.get(name), others.get(name)));
    return names;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train_text_encoder=false",
        "train_text_encoder=true use_ema=true gradient_accumulation_steps=2",
        "train_text_encoder=true fused_backward_pass=true max_grad_norm=0 max_token_length=150"
      })
  void shouldGoOnFromACheckpointAsIfItHadNotStopped(String options) {
    tiny.withOptions(options).with("crop", "random").with("hflip", true);
    Path checkpoint = folder.resolve("checkpoint-2");
    try (TinyTrainer whole = new TinyTrainer(tiny).train(4);
        TinyTrainer first = new TinyTrainer(tiny).train(2);
        TinyTrainer resumed = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
      assertThat(resumed.trainer.resume(checkpoint)).isEmpty();
      resumed.train(4);
      for (Group each : whole.model.groups()) {
        assertThat(resumed.weights(each.component())).isEqualTo(whole.weights(each.component()));
      }
    }
  }

  /** No gradient reaches the last layer and norm of the first, whose states are not its last. */
  @Test
  void shouldTrainBothTextEncodersButForWhatIsNotComputed() {
    tiny.with("train_text_encoder", true).with("adam_weight_decay", 0.1);
    try (TinyTrainer before = new TinyTrainer(tiny);
        TinyTrainer trained = new TinyTrainer(tiny).train(2)) {
      assertThat(unchanged(trained, before, Component.TEXT_ENCODER))
          .hasSize(18)
          .allMatch(
              name -> name.startsWith("encoder.layers.2.") || name.startsWith("final_layer_norm."));
      assertThat(unchanged(trained, before, Component.TEXT_ENCODER_2)).isEmpty();
    }
    tiny.with("text_encoder_2_learning_rate", 0);
    try (TinyTrainer before = new TinyTrainer(tiny);
        TinyTrainer trained = new TinyTrainer(tiny).train(1)) {
      assertThat(unchanged(trained, before, Component.TEXT_ENCODER)).hasSize(18);
      assertThat(trained.weights(Component.TEXT_ENCODER_2))
          .isEqualTo(before.weights(Component.TEXT_ENCODER_2));
    }
    try (TinyTrainer before = new TinyTrainer(tiny.with("train_text_encoder", false));
        TinyTrainer trained = new TinyTrainer(tiny).train(1)) {
      assertThat(trained.weights(Component.TEXT_ENCODER_2))
          .isEqualTo(before.weights(Component.TEXT_ENCODER_2));
      assertThat(unchanged(trained, before, Component.UNET)).isEmpty();
    }
  }

  /** 80 x 40 pixels, scaled to 48 x 24, of which the window of 40 x 24 begins at 2. */
  @Test
  void shouldTellTheUNetWhatWasDoneToEachPicture() throws IOException {
    for (Path each : List.of(tiny.pictures(), folder.resolve("class"))) {
      try (var files = Files.list(each)) {
        files.forEach(file -> assertThat(file.toFile().delete()).isTrue());
      }
    }
    TestPictures.paint(tiny.pictures(), "p", 80, 40, "sks, man", 1);
    TestPictures.paint(folder.resolve("class"), "c", 40, 24, "man", 2);
    tiny.with("crop", "0.25,0");
    try (TinyTrainer trainer = new TinyTrainer(tiny);
        Arena arena = trainer.run.child("batch")) {
      PairBatches batches = new PairBatches(trainer.config, trainer.model, trainer.caches);
      PairSampler.Batch pair = trainer.pairs.epoch(0).get(0);
      TrainingBatch batch = batches.batch(arena, pair, 0, 0, false);
      assertThat(batch.prompts().get(Conditioning.SIZES).toFloats())
          .containsExactly(40, 80, 0, 2, 24, 40, 24, 40, 0, 0, 24, 40);
      assertThat(batch.prompts().get(Conditioning.POOLED).shape()).containsExactly(2, 20);
      assertThat(batches.batch(arena, pair, 0, 0, true).prompts().named().keySet())
          .containsExactlyInAnyOrder(
              Conditioning.TOKENS, Conditioning.TOKENS_2, Conditioning.SIZES);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "mixed_precision=no",
        "mixed_precision=no train_text_encoder=true gradient_checkpointing=true use_8bit_adam=true"
            + " fused_backward_pass=true max_token_length=150",
        "mixed_precision=bf16 full_bf16=true train_text_encoder=true use_ema=true"
      })
  void shouldForetellTheRunsPeak(String options) {
    tiny.with("gradient_checkpointing", false)
        .with("max_grad_norm", 0)
        .with("max_train_steps", 4)
        .withOptions(options);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      trainer.run.meter().resetPeak();
      trainer.train();
      Config config = trainer.config;
      MemoryPlan plan =
          MemoryPlan.of(
              ModelFolder.open(TinySdxl.MODEL, null), config, TinyRun.load(config), Device.CPU);
      long measured = trainer.run.meter().peakBytes();
      assertThat(plan.always() + plan.activationBytes())
          .isBetween((long) (0.95 * measured), (long) (1.05 * measured));
    }
  }

  /** Stands in for CUDA's graphs: the work itself, which runs again at each replay. */
  private static final class Again implements Recorder {
    int recorded;

    @Override
    public Runnable record(Runnable work) {
      recorded++;
      return work;
    }

    @Override
    public void close() {}
  }

  @Tag("kernels")
  @Test
  void shouldTrainByCapturedStepsAsTheHostDoes() throws IOException, InterruptedException {
    Again recorder = new Again();
    try (TinyTrainer plain = new TinyTrainer(tiny).train(6);
        TinyTrainer ours = new TinyTrainer(tiny, Emulated.open())) {
      ours.trainer.capture(recorder, ours.notes::add);
      ours.train(6);
      assertThat(recorder.recorded).isPositive();
      assertThat(ours.notes).isEmpty();
      List<Double> losses = new ArrayList<>();
      ours.reports.forEach(report -> losses.add(report.losses().total()));
      for (int i = 0; i < losses.size(); i++) {
        assertThat(losses.get(i)).isCloseTo(plain.reports.get(i).losses().total(), within(1e-4));
      }
    }
  }

  /** In the model's own names and with all its parts, so that diffusers and we read it again. */
  @Test
  void shouldSaveAWholeModel() throws IOException {
    Path output = folder.resolve("saved");
    tiny.with("train_text_encoder", true);
    try (TinyTrainer trained = new TinyTrainer(tiny).train(1)) {
      trained.model.save(trained.run, Map.of(), output);
      ModelFolder saved = ModelFolder.open(output, null);
      try (Arena again = Arena.open("again");
          StableDiffusion model = StableDiffusion.load(again, saved)) {
        for (Group each : model.groups()) {
          assertThat(each.parameters().weights().toFloats())
              .isEqualTo(trained.model.parameters(each.component()).masters().toFloats());
        }
      }
    }
    String weights = "text_encoder_2/model.safetensors";
    try (Safetensors ours = Safetensors.open(output.resolve(weights));
        Safetensors base = Safetensors.open(TinySdxl.MODEL.resolve(weights))) {
      assertThat(ours.tensors().keySet()).isEqualTo(base.tensors().keySet());
    }
    for (String same : List.of("model_index.json", "tokenizer_2/tokenizer.json")) {
      assertThat(output.resolve(same)).hasSameBinaryContentAs(TinySdxl.MODEL.resolve(same));
    }
  }

  /** Its VAE overflows in 16 bits. */
  @Test
  void shouldComputeWithItsVaeInF32() {
    try (TinyTrainer half = new TinyTrainer(tiny.in("full_bf16")).train(1)) {
      assertThat(half.model.parameters(Component.UNET).dtype()).isEqualTo(DType.BF16);
      assertThat(half.model.parameters(Component.TEXT_ENCODER_2).dtype()).isEqualTo(DType.BF16);
      assertThat(half.model.parameters(Component.VAE).dtype()).isEqualTo(DType.F32);
    }
  }

  /** What Stability AI published: 3.47 billion weights. */
  @Test
  void shouldHaveAsManyWeightsAsThePublishedModel() {
    try (Arena dry = Arena.open("dry", OpBackend.dry(Device.CPU));
        StableDiffusion model = StableDiffusion.load(dry, ModelFolder.open(WHOLE, null))) {
      assertThat(model.groups())
          .extracting(each -> each.component() + " " + each.parameters().count())
          .containsExactly(
              "UNET 2567463684",
              "TEXT_ENCODER 123060480",
              "TEXT_ENCODER_2 694659840",
              "VAE 83653863");
    }
  }
}
