package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.LoraUse;
import dreambooth4j.weights.MergedModel;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Training of adapters, by the trainer of all weights. */
class LoraTest {
  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("use_lora", true)
            .with("learning_rate", 0.01)
            .with("train_text_encoder", true)
            .with("num_train_epochs", 2);
  }

  private static List<String> names(TinyTrainer trainer, Component component) {
    return trainer.model.trained(component).stream()
        .flatMap(group -> group.parameters().all().stream())
        .map(Parameter::name)
        .toList();
  }

  @Test
  void shouldTrainTheAdaptersAloneAndBeginAsTheBaseModel() {
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      Map<String, List<Float>> unet = trainer.weights(Component.UNET);
      Map<String, List<Float>> text = trainer.weights(Component.TEXT_ENCODER);
      Map<String, List<Float>> before = trainer.unet();
      before.forEach(
          (name, values) -> {
            if (name.endsWith("lora_B.weight")) {
              assertThat(values).as(name).containsOnly(0f);
            } else {
              assertThat(values).as(name).doesNotContain(0f);
            }
          });

      trainer.train();

      assertThat(trainer.weights(Component.UNET)).isEqualTo(unet);
      assertThat(trainer.weights(Component.TEXT_ENCODER)).isEqualTo(text);
      Map<String, List<Float>> after = trainer.unet();
      after.keySet().removeIf(TinyModel::attendsToOnePixel);
      after.forEach((name, v) -> assertThat(v).as(name).isNotEqualTo(before.get(name)));
      assertThat(trainer.model.trained())
          .extracting(Group::component)
          .containsExactly(Component.UNET, Component.TEXT_ENCODER);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"attention", "all-linear", "convolutions"})
  void shouldAdaptTheLayersThatOthersAdapt(String targets) {
    tiny.with("lora_targets", targets).with("lora_txt_rank", 2).with("lora_conv_rank", 3);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      List<String> unet = names(trainer, Component.UNET);
      String block = "mid_block.attentions.0.transformer_blocks.0.";
      assertThat(unet)
          .contains(block + "attn2.to_k.lora_A.weight", block + "attn1.to_out.0.lora_B.weight")
          .noneMatch(name -> name.startsWith("conv_in") || name.startsWith("time_embedding"));
      assertThat(unet.contains(block + "ff.net.2.lora_A.weight"))
          .isEqualTo(!targets.equals("attention"));
      assertThat(unet.contains("mid_block.resnets.0.conv1.lora_A.weight"))
          .isEqualTo(targets.equals("convolutions"));
      assertThat(names(trainer, Component.TEXT_ENCODER))
          .contains("encoder.layers.0.self_attn.q_proj.lora_A.weight");
      for (Group group : trainer.model.trained()) {
        boolean text = group.component() == Component.TEXT_ENCODER;
        for (Parameter each : group.parameters().all()) {
          long rank = each.fileShape()[each.name().endsWith("lora_A.weight") ? 0 : 1];
          boolean spatial = each.name().matches(".*\\.(conv[12]?)\\.lora_.*");
          assertThat(rank).as(each.name()).isEqualTo(text ? 2 : spatial ? 3 : 4);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "use_ema=true stop_text_encoder=0.5",
        "gradient_accumulation_steps=2 lora_targets=convolutions",
        "mixed_precision=bf16 lora_kind=dora",
        "mixed_precision=fp16",
        "lora_kind=loha lora_targets=convolutions gradient_checkpointing=true",
        "mixed_precision=bf16 lora_kind=lokr lora_factor=2",
        "prior=prediction stop_text_encoder=0.5",
        "frozen_dtype=bf16 gradient_checkpointing=true",
        "lora_dropout=0.3 prior=prediction",
        "fused_backward_pass=true max_grad_norm=0 use_8bit_adam=true"
      })
  void shouldGoOnFromACheckpointBitForBit(String keys) {
    tiny.withOptions(keys);
    if (keys.contains("stop_text_encoder")) {
      tiny.without("train_text_encoder");
    }
    TinyTrainer.goesOnBitForBit(tiny, folder, 2);
  }

  @Test
  void shouldSayThatTheBaseModelIsAnotherThanTheCheckpoints() {
    Path checkpoint = folder.resolve("checkpoint-2");
    Path other = folder.resolve("other");
    try (TinyTrainer first = new TinyTrainer(tiny).train(2)) {
      first.trainer.save(checkpoint);
    }
    tiny.with("use_lora", false);
    try (TinyTrainer all = new TinyTrainer(tiny).train(1)) {
      all.model.save(all.run, Map.of(), other);
    }
    tiny.with("use_lora", true).with("pretrained_model_name_or_path", other);
    try (TinyTrainer second = new TinyTrainer(tiny)) {
      assertThat(second.trainer.resume(checkpoint))
          .anySatisfy(each -> assertThat(each).startsWith("base model was"));
    }
  }

  /** It is what was read, not what somebody has put in its file's place since. */
  @Test
  void shouldNameTheBaseModelThatItBeganWith() throws IOException {
    Path checkpoint = folder.resolve("checkpoint-2");
    Path base = folder.resolve("base");
    TinyModel.copy(base);
    try (TinyTrainer first = new TinyTrainer(tiny.with("pretrained_model_name_or_path", base))) {
      Files.write(base.resolve("unet/diffusion_pytorch_model.safetensors"), new byte[] {1});
      first.trainer.save(checkpoint);
    }
    tiny.with("pretrained_model_name_or_path", TinyRun.MODEL);
    try (TinyTrainer second = new TinyTrainer(tiny)) {
      assertThat(second.trainer.resume(checkpoint))
          .noneSatisfy(each -> assertThat(each).startsWith("base model was"));
    }
  }

  private Path saved(TinyTrainer trained) {
    Path output = folder.resolve("saved");
    trained.model.save(trained.run, Map.of(), output);
    return trained.model.result(output);
  }

  @Test
  void shouldGoOnFromALoraFile() {
    try (TinyTrainer first = new TinyTrainer(tiny.with("lora_kind", "dora")).train()) {
      tiny.with("lora_weights", saved(first))
          .without("lora_kind")
          .with("lora_targets", "all-linear");
      try (TinyTrainer next = new TinyTrainer(tiny);
          TinyTrainer twice = new TinyTrainer(tiny.with("lora_alpha", 8))) {
        assertThat(next.unet()).isEqualTo(first.unet());
        assertThat(next.text()).isEqualTo(first.text());
        twice
            .unet()
            .forEach(
                (name, values) -> {
                  float factor = name.endsWith("lora_B.weight") ? 2 : 1;
                  List<Float> file = next.unet().getOrDefault(name, List.of());
                  for (int i = 0; i < file.size(); i++) {
                    assertThat(values.get(i) * factor).as(name).isEqualTo(file.get(i));
                  }
                });
        next.train(1);
        twice.train(1);
        assertThat(twice.reports.get(0).losses().total())
            .isCloseTo(next.reports.get(0).losses().total(), within(1e-5));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "lora_kind=loha lora_rank=3 lora_alpha=2",
        "lora_kind=lokr lora_rank=1 lora_alpha=3",
        "lora_kind=lokr lora_rank=64 lora_factor=2"
      })
  void shouldGoOnFromAFileOfLycoris(String keys) {
    tiny.withOptions(keys).with("lora_targets", "convolutions");
    try (TinyTrainer first = new TinyTrainer(tiny).train()) {
      tiny.with("lora_weights", saved(first));
      List.of("lora_kind", "lora_rank", "lora_alpha", "lora_factor", "lora_targets")
          .forEach(tiny::without);
      List<byte[]> expected = first.drawn();
      try (TinyTrainer next = new TinyTrainer(tiny)) {
        assertThat(next.unet().keySet()).isEqualTo(first.unet().keySet());
        assertThat(next.text().keySet()).isEqualTo(first.text().keySet());
        byte[] picture = next.drawn().get(0);
        for (int at = 0; at < picture.length; at++) {
          assertThat(picture[at] & 0xff).isCloseTo(expected.get(0)[at] & 0xff, within(1));
        }
        Map<String, List<Float>> before = next.unet();
        next.train(1);
        assertThat(next.unet()).isNotEqualTo(before);
      }
      tiny.with("lora_files", "both");
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> new TinyTrainer(tiny))
          .withMessageContaining("which diffusers does not load: set lora_files: kohya");
      tiny.without("lora_files").with("anchor_weight", 10);
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> new TinyTrainer(tiny))
          .withMessageContaining("is not a plain LoRA")
          .withMessageContaining("leave out anchor_weight");
    }
  }

  @Test
  void shouldSayWhatOfALoraFileCannotBeTrainedOn() {
    try (TinyTrainer first = new TinyTrainer(tiny).train(1)) {
      tiny.with("lora_weights", saved(first)).without("train_text_encoder");
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> new TinyTrainer(tiny))
          .withMessageContaining("changes the text_encoder too: set train_text_encoder: true");
    }
  }

  @Test
  void shouldRefuseAScheduleThatTheFileCannotTell() {
    tiny.with("zero_terminal_snr", true);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> new TinyTrainer(tiny))
        .withMessageContaining("zero_terminal_snr: the base model's noise does not end")
        .withMessageContaining("use_lora: false");
  }

  /** Adapters change nothing at first, whatever they see; from then on each step drops others. */
  @Test
  void shouldDropWhatAdaptersSeeInTrainingAlone() {
    try (TinyTrainer all = new TinyTrainer(tiny).train();
        TinyTrainer dropped = new TinyTrainer(tiny.with("lora_dropout", 0.5)).train(1)) {
      assertThat(dropped.reports.get(0).losses()).isEqualTo(all.reports.get(0).losses());
      assertThat(dropped.unet()).isNotEqualTo(all.unet());
      dropped.train();
      assertThat(dropped.reports.get(1).losses()).isNotEqualTo(all.reports.get(1).losses());
      assertThat(dropped.drawn().get(0)).isEqualTo(dropped.drawn().get(0));
    }
  }

  @Test
  void shouldSayThatThereIsNoSecondTextEncoder() {
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    assertThat(Adaptation.notes(tiny.config(), base)).isEmpty();
    assertThat(Adaptation.notes(tiny.with("text_encoder_2_learning_rate", 1e-6).config(), base))
        .singleElement()
        .asString()
        .contains("has no effect, as the base model has one text encoder: set");
  }

  /** Under class prompts the adapters are to say what the base model says, as they do at first. */
  @Test
  void shouldHoldTheClassByTheBaseModelsPredictions() {
    tiny.with("prior", "prediction").without("class_data_dir").with("num_train_epochs", 3);
    try (TinyTrainer trained = new TinyTrainer(tiny).train();
        TinyTrainer free =
            new TinyTrainer(tiny.with("prior_loss_weight", 0).with("with_prior_preservation", true))
                .train()) {
      List<Double> prior = prior(trained);
      assertThat(prior.get(0)).isLessThan(1e-9);
      assertThat(prior.subList(1, prior.size())).allMatch(loss -> loss > 1e-7);
      double last = prior.get(prior.size() - 1);
      assertThat(last).isLessThan(prior(free).get(prior.size() - 1));
      assertThat(trained.reports).extracting(r -> r.pictures()).containsOnly(2);
      assertThat(tiny.classImages()).doesNotExist();
    }
  }

  private static List<Double> prior(TinyTrainer trainer) {
    return trainer.reports.stream()
        .map(report -> Objects.requireNonNull(report.losses().prior()))
        .toList();
  }

  /** Rows begin with the length that they have: the model is the base model until it learns. */
  @Test
  void shouldBeginDoraAsTheBaseModel() {
    tiny.with("lora_kind", "dora").with("lora_targets", "convolutions");
    try (TinyTrainer trained = new TinyTrainer(tiny);
        TinyTrainer plain = new TinyTrainer(tiny.with("lora_kind", "lora"))) {
      trained.train(3);
      plain.train(3);
      assertThat(trained.reports.get(0).losses().total())
          .isCloseTo(plain.reports.get(0).losses().total(), within(1e-5));
      assertThat(trained.unet().keySet()).anyMatch(name -> name.endsWith("lora_magnitude_vector"));
      assertThat(trained.reports.get(2).losses().total())
          .isNotEqualTo(plain.reports.get(2).losses().total());
    }
  }

  /** What has trained computes as the base model does with the file's change in its weights. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "lora_kind=loha lora_alpha=2 lora_rank=3",
        "lora_kind=lokr lora_rank=1 lora_alpha=3",
        "lora_kind=lokr lora_factor=2 lora_rank=64"
      })
  void shouldTrainLycorisKindsAndWriteWhatMergesToTheSame(String keys) {
    tiny.withOptions(keys).with("lora_targets", "convolutions").with("num_train_epochs", 3);
    try (TinyTrainer trained = new TinyTrainer(tiny).train();
        TinyTrainer plain = new TinyTrainer(tiny.with("lora_kind", "lora"))) {
      plain.train(1);
      assertThat(trained.reports.get(0).losses().total())
          .isCloseTo(plain.reports.get(0).losses().total(), within(1e-5));
      List<byte[]> base = plain.drawn();
      List<byte[]> expected = trained.drawn();
      assertThat(expected.get(0)).isNotEqualTo(base.get(0));
      try (Arena run = Arena.open("merged");
          MergedModel merged =
              MergedModel.of(
                  ModelFolder.open(TinyRun.MODEL, null), List.of(new LoraUse(saved(trained), 1)))) {
        List<byte[]> drawn =
            TinyTrainer.drawn(trained.config, StableDiffusion.load(run, merged), run);
        for (int i = 0; i < expected.size(); i++) {
          for (int at = 0; at < expected.get(i).length; at++) {
            assertThat(drawn.get(i)[at] & 0xff).isCloseTo(expected.get(i)[at] & 0xff, within(1));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"lora", "dora", "loha", "lokr"})
  void shouldTrainTheSameWithoutKeepingWhatCanBeComputedAgain(String kind) {
    tiny.with("lora_targets", "convolutions").with("lora_kind", kind).with("lora_dropout", 0.4);
    try (TinyTrainer kept = new TinyTrainer(tiny.with("gradient_checkpointing", false)).train();
        TinyTrainer again = new TinyTrainer(tiny.with("gradient_checkpointing", true)).train()) {
      assertThat(again.unet()).isEqualTo(kept.unet());
      assertThat(again.text()).isEqualTo(kept.text());
    }
  }

  /** The base is frozen: it has no gradients, no masters, and half its bytes in bf16. */
  @Test
  void shouldHoldTheBaseInTheFrozenType() {
    try (TinyTrainer exact = new TinyTrainer(tiny).train();
        TinyTrainer coarse = new TinyTrainer(tiny.with("frozen_dtype", "bf16")).train()) {
      Parameters base = coarse.model.parameters(Component.UNET);
      assertThat(base.dtype()).isEqualTo(DType.BF16);
      assertThat(base.isTrainable()).isFalse();
      assertThat(base.hasMasters()).isFalse();
      Parameters adapters = coarse.model.trained(Component.UNET).get(0).parameters();
      assertThat(adapters.masters().dtype()).isEqualTo(DType.F32);
      for (int i = 0; i < exact.reports.size(); i++) {
        assertThat(coarse.reports.get(i).losses().total())
            .isCloseTo(exact.reports.get(i).losses().total(), within(0.03));
      }
    }
  }

  @Test
  void shouldPlanLessMemoryThanForAllWeights() {
    tiny.with("gradient_checkpointing", false);
    long lora = TinyRun.forecast(tiny.config(), Long.MAX_VALUE).plan().always();
    long all =
        TinyRun.forecast(tiny.with("use_lora", false).config(), Long.MAX_VALUE).plan().always();
    assertThat(lora).isLessThan(all / 2);
  }

  @Test
  void shouldComputeAsTheBaseModelWithoutItsAdapters() {
    try (TinyTrainer trained = new TinyTrainer(tiny).train();
        TinyTrainer fresh = new TinyTrainer(tiny)) {
      List<byte[]> with = trained.drawn();
      List<byte[]> base = new ArrayList<>();
      trained.model.withoutAdapters(() -> base.addAll(trained.drawn()));
      List<byte[]> expected = fresh.drawn();
      assertThat(base).hasSameSizeAs(expected).isNotEmpty();
      for (int i = 0; i < expected.size(); i++) {
        assertThat(base.get(i)).isEqualTo(expected.get(i));
        assertThat(with.get(i)).isNotEqualTo(expected.get(i));
      }
    }
  }

  /** Samples are drawn with the adapters, in the base's type. */
  @Test
  void shouldDrawSamplesBesideABaseOf16Bits() {
    tiny.with("frozen_dtype", "bf16");
    try (TinyTrainer trained = new TinyTrainer(tiny).train();
        TinyTrainer fresh = new TinyTrainer(tiny)) {
      assertThat(trained.drawn().get(0)).isNotEqualTo(fresh.drawn().get(0));
      assertThat(fresh.trainer.precision())
          .endsWith("; weights that do not train, and what is computed with them, in bf16");
    }
  }
}
