package dreambooth4j.train;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.TestPictures;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.distributed.TestRanks;
import dreambooth4j.pipeline.Origin;
import dreambooth4j.report.QuietReport;
import dreambooth4j.report.RunReport;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole runs of several ranks, each a thread here, against the same run of one process. */
class RanksRunTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  /** Of the update: what other orders of summing leave after AdamW's division by roots. */
  private static final double ROUNDING = 2e-3;

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  /** Batches of 2, 1 and 2 pairs an epoch, two of which are a step: of 3 or 4, and of 1 or 2. */
  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("n_save_sample", 0)
            .with("train_batch_size", 2)
            .with("gradient_accumulation_steps", 2)
            .with("max_train_steps", 5);
  }

  private Config config(String output) {
    return tiny.with("output_dir", folder.resolve(output)).config();
  }

  private static PrintStream nowhere() {
    return new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
  }

  /** What each rank returns. */
  private static List<Boolean> run(int count, Config config) throws Exception {
    return TestRanks.each(count, ranks -> run(config, ranks));
  }

  private static boolean run(Config config, Ranks ranks) {
    if (!ranks.isFirst()) {
      return new TrainingRun(
              config, Origin.BASE_MODEL, new QuietReport(nowhere()), () -> false, ranks)
          .run();
    }
    Path output = config.output().outputDir();
    try (RunReport report = new RunReport(nowhere(), output, List.of(), null, false)) {
      return new TrainingRun(config, Origin.BASE_MODEL, report, () -> false, ranks).run();
    }
  }

  private void isAsOneProcess(String output, String file) {
    assertThat(
            Apart.ofUpdate(
                TinyRun.MODEL.resolve(file),
                folder.resolve("one").resolve(file),
                folder.resolve(output).resolve(file)))
        .isLessThan(ROUNDING);
  }

  @ParameterizedTest
  @CsvSource({
    "2, max_grad_norm=0.5",
    "4, lr_scheduler=linear use_ema=true",
    "3, train_text_encoder=true stop_text_encoder=0.5",
    "2, min_snr_gamma=5 split_loss=false offset_noise=0.1",
    "2, shard_optimizer=true max_grad_norm=0.5 anchor_weight=300",
    "4, shard_optimizer=true lr_scheduler=linear use_ema=true",
    "3, shard_optimizer=true train_text_encoder=true stop_text_encoder=0.5",
    "2, shard_optimizer=true use_8bit_adam=true",
    "3, shard_optimizer=true optimizer=Prodigy",
    "2, shard_optimizer=true optimizer=AdamWScheduleFree"
  })
  void shouldGiveTheWeightsOfOneProcess(int ranks, String options) throws Exception {
    tiny.withOptions(options);
    assertThat(TinyRun.run(config("one"))).isTrue();
    assertThat(run(ranks, config("several"))).containsOnly(true);
    isAsOneProcess("several", UNET);
    if (options.startsWith("train_text")) {
      isAsOneProcess("several", "text_encoder/model.safetensors");
    }
    assertThat(metrics("several")).hasSize(5).isEqualTo(metrics("one"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldGiveTheLoraOfOneProcess(boolean sharded) throws Exception {
    tiny.withOptions(
            "use_lora=true lora_files=diffusers lora_rank=2 learning_rate=0.01 max_grad_norm=0.5")
        .with("shard_optimizer", sharded);
    assertThat(TinyRun.run(config("one"))).isTrue();
    assertThat(run(2, config("several"))).containsOnly(true);
    String file = "pytorch_lora_weights.safetensors";
    assertThat(Apart.ofZeroed(folder.resolve("one/" + file), folder.resolve("several/" + file)))
        .isLessThan(ROUNDING);
  }

  @Test
  void shouldAskTheBaseModelEachRankAShare() throws Exception {
    tiny.without("class_data_dir").with("prior", "prediction").with("max_train_steps", 3);
    assertThat(TinyRun.run(config("one"))).isTrue();
    Map<Integer, Integer> asked = new ConcurrentHashMap<>();
    Config several = config("several");
    List<Boolean> complete =
        TestRanks.each(
            2,
            ranks -> {
              QuietReport report = counting(done -> asked.put(ranks.rank(), done));
              return new TrainingRun(several, Origin.BASE_MODEL, report, () -> false, ranks).run();
            });
    assertThat(complete).containsOnly(true);
    assertThat(asked).containsExactlyInAnyOrderEntriesOf(Map.of(0, 3, 1, 2));
    isAsOneProcess("several", UNET);
  }

  /** Is told of each prediction that is made how many there are then. */
  private static QuietReport counting(IntConsumer made) {
    return new QuietReport(nowhere()) {
      @Override
      public void encoded(String what, int done, int missing) {
        if (what.equals("predictions")) {
          made.accept(done);
        }
      }
    };
  }

  /** Each then makes what the others made, too, and the run's progress is seen all the way. */
  @Test
  void shouldCountWhatIsMadeWhereRanksHaveNoCommonCache() throws Exception {
    tiny.without("class_data_dir").with("prior", "prediction").with("max_train_steps", 3);
    Map<Integer, Integer> made = new ConcurrentHashMap<>();
    TestRanks.each(
        2,
        ranks -> {
          QuietReport report = counting(done -> made.merge(ranks.rank(), 1, Integer::sum));
          Config own;
          synchronized (made) {
            own = tiny.with("cache_dir", folder.resolve("cache" + ranks.rank())).config();
          }
          return new TrainingRun(own, Origin.BASE_MODEL, report, () -> false, ranks).run();
        });
    assertThat(made).containsExactlyInAnyOrderEntriesOf(Map.of(0, 5, 1, 5));
  }

  /** Each by itself might find another type the faster one. */
  @Test
  void shouldTakeTheTypeThatRank0Measured() throws Exception {
    tiny.with("mixed_precision", "auto").with("max_train_steps", 1);
    Config several = config("several");
    List<String> notes = new CopyOnWriteArrayList<>();
    List<Boolean> complete =
        TestRanks.each(
            2,
            ranks -> {
              QuietReport report =
                  new QuietReport(nowhere()) {
                    @Override
                    public void warning(String message) {
                      if (message.contains("auto takes")) {
                        notes.add("rank " + ranks.rank());
                      }
                    }
                  };
              return new TrainingRun(several, Origin.BASE_MODEL, report, () -> false, ranks).run();
            });
    assertThat(complete).containsOnly(true);
    assertThat(notes).containsExactly("rank 0");
    assertThat(Files.readString(folder.resolve("several/config.yaml")))
        .containsPattern("mixed_precision: (no|bf16)");
  }

  /** Step, pictures and the loss to three digits. */
  private List<String> metrics(String output) throws IOException {
    return Files.readAllLines(folder.resolve(output).resolve("metrics.jsonl")).stream()
        .filter(line -> line.contains("\"loss\""))
        .map(line -> line.replaceAll(".*\"step\":(\\d+).*\"loss\":([0-9.]{5}).*", "$1 $2"))
        .toList();
  }

  @ParameterizedTest
  @CsvSource({
    "1, false, false",
    "3, false, false",
    "1, true, true",
    "3, true, true",
    "2, true, false",
    "2, false, true"
  })
  void shouldGoOnWithAnotherNumberOfRanks(int later, boolean shardedThen, boolean shardedNow)
      throws Exception {
    assertThat(TinyRun.run(config("one"))).isTrue();
    tiny.with("checkpointing_steps", 2).with("save_state_after", false);
    tiny.with("shard_optimizer", shardedThen);
    stopAfter(3, 2, config("several"));
    tiny.with("resume_from_checkpoint", "latest").with("shard_optimizer", shardedNow);
    assertThat(run(later, config("several"))).containsOnly(true);
    isAsOneProcess("several", UNET);
  }

  /** Nobody knows before the end that it will be needed. */
  @Test
  void shouldSaveACheckpointOfAllRanksWhereTheModelCannotBeWritten() throws Exception {
    tiny.withOptions("use_lora=true lora_files=diffusers lora_rank=2 shard_optimizer=true");
    Config several = config("several");
    Path inTheWay = folder.resolve("several/pytorch_lora_weights.safetensors/folder");
    TestRanks.each(
        2,
        ranks -> {
          QuietReport report =
              new QuietReport(nowhere()) {
                @Override
                public void step(Trainer.StepReport step) {
                  assertThat(inTheWay.toFile().mkdirs() || inTheWay.toFile().isDirectory())
                      .isTrue();
                }
              };
          TrainingRun run = new TrainingRun(several, Origin.BASE_MODEL, report, () -> false, ranks);
          assertThatThrownBy(run::run).isInstanceOf(Problem.class);
          return true;
        });
    assertThat(folder.resolve("several/checkpoint-5")).isDirectory();
  }

  /** One rank is asked to stop, and all of them do after the same step. */
  private static void stopAfter(int steps, int count, Config config) throws Exception {
    AtomicInteger done = new AtomicInteger();
    List<Boolean> complete =
        TestRanks.each(
            count,
            ranks -> {
              QuietReport report =
                  new QuietReport(nowhere()) {
                    @Override
                    public void step(Trainer.StepReport step) {
                      if (!ranks.isFirst()) {
                        done.set(step.step());
                      }
                    }
                  };
              return new TrainingRun(
                      config,
                      Origin.BASE_MODEL,
                      report,
                      () -> !ranks.isFirst() && done.get() >= steps,
                      ranks)
                  .run();
            });
    assertThat(complete).containsOnly(false);
    assertThat(config.output().outputDir().resolve("checkpoint-" + steps)).isDirectory();
  }

  @Test
  void shouldMakeTheClassImagesOfOneProcessEachRankAShare() throws Exception {
    tiny.without("class_data_dir").with("max_train_steps", 1);
    TinyRun.run(config("one"));
    run(2, config("several"));
    assertThat(pictures("several")).isEqualTo(pictures("one")).hasSize(5);
  }

  private List<String> pictures(String output) throws IOException {
    Path classImages = folder.resolve(output).resolve("class_images/sks");
    try (Stream<Path> files = Files.list(classImages)) {
      return files
          .map(each -> each.getFileName().toString())
          .filter(name -> name.endsWith(".png"))
          .sorted()
          .toList();
    }
  }

  @Test
  void shouldMeasureAndDrawNewClassImagesTogether() throws Exception {
    tiny.without("class_data_dir")
        .with("class_images_refresh_epochs", 1)
        .with("validation_share", 0.3)
        .with("validate_every_n_steps", 2);
    TinyRun.run(config("one"));
    run(2, config("several"));
    isAsOneProcess("several", UNET);
    assertThat(validated("several")).isEqualTo(validated("one")).isNotEmpty();
  }

  /** Rank 1 alone would wait for rank 0's gradients. */
  @Test
  void shouldEndEarlyTogether() throws Exception {
    tiny.with("validation_share", 0.3)
        .with("validate_every_n_steps", 1)
        .with("learning_rate", 0.1)
        .with("max_train_steps", 40)
        .with("save_best", true)
        .with("early_stopping_patience", 1);
    assertThat(run(2, config("several"))).containsExactly(true, true);
    assertThat(metrics("several")).hasSizeBetween(2, 39);
    assertThat(folder.resolve("several/model-best").resolve(UNET)).exists();
  }

  /** Rank 0 alone would wait for what rank 1 measures. */
  @Test
  void shouldMeasureTogetherWhereOtherPicturesAreHeldOutOfAResumedRun() throws Exception {
    Path held = folder.resolve("held");
    TestPictures.paint(held, "h0", 32, 32, "sks, man, hat", 50);
    tiny.with("validation_data_dir", held)
        .with("validate_every_n_steps", 1)
        .with("checkpointing_steps", 1)
        .with("max_train_steps", 2)
        .with("save_best", true);
    assertThat(run(2, config("several"))).containsExactly(true, true);
    TestPictures.paint(held, "h1", 32, 32, "sks, man, tree", 51);
    tiny.with("resume_from_checkpoint", folder.resolve("several/checkpoint-1"));
    assertThat(run(2, config("several"))).containsExactly(true, true);
    assertThat(folder.resolve("several/models-1/model-best").resolve(UNET)).exists();
  }

  /** A run that has ended early is at its end on all ranks when it is resumed. */
  @Test
  void shouldStayEndedTogether() throws Exception {
    tiny.with("validation_share", 0.3)
        .with("validate_every_n_steps", 1)
        .with("checkpointing_steps", 1)
        .with("learning_rate", 0.1)
        .with("max_train_steps", 40)
        .with("early_stopping_patience", 1);
    run(2, config("several"));
    int steps = metrics("several").size();
    tiny.with("resume_from_checkpoint", "latest");
    assertThat(run(2, config("several"))).containsExactly(true, true);
    assertThat(metrics("several")).hasSize(steps);
  }

  private List<String> validated(String output) throws IOException {
    return Files.readAllLines(folder.resolve(output).resolve("metrics.jsonl")).stream()
        .filter(line -> line.contains("valid"))
        .map(line -> line.replaceAll("(\\.\\d{3})\\d+", "$1").replaceAll("\"time\":[^,}]*", ""))
        .toList();
  }

  @Test
  void shouldRefuseRanksWithoutWorkAndWeightsUpdatedTooSoon() {
    assertThatThrownBy(() -> run(5, config("several")))
        .hasMessageContaining("raise train_batch_size to 3 or more");
    tiny.with("gradient_accumulation_steps", 1).with("fused_backward_pass", true);
    tiny.with("max_grad_norm", 0);
    assertThatThrownBy(() -> run(2, config("several"))).hasMessageContaining("fused_backward_pass");
  }

  @Test
  void shouldEndAllRanksWhereOneSeesOtherPictures() {
    Config here = config("several");
    Config there = tiny.with("seed", 7).config();
    assertThatThrownBy(() -> TestRanks.each(2, ranks -> run(ranks.isFirst() ? here : there, ranks)))
        .hasMessageContaining("'seed' of rank 1 is not that of rank 0");
  }

  @Test
  void shouldSayWhichTensorDivergedWhicheverRankHadIt() throws Exception {
    tiny.with("learning_rate", 1e30);
    Problem one = failure(() -> TinyRun.run(config("one")));
    Problem several = failure(() -> run(2, config("several")));
    assertThat(several.kind()).isEqualTo(Problem.Kind.DIVERGED);
    String tensor = "first bad tensor: the output of op 3, linear";
    assertThat(several).hasMessageContaining(tensor).hasMessageStartingWith("step 2");
    assertThat(one).hasMessageContaining(tensor);
  }

  @Test
  void shouldSayThatOneProcessHasNothingToShard() {
    tiny.with("shard_optimizer", true).with("max_train_steps", 1);
    List<String> warnings = new ArrayList<>();
    QuietReport report =
        new QuietReport(nowhere()) {
          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    new TrainingRun(config("one"), report, () -> false).run();
    assertThat(warnings).anyMatch(each -> each.startsWith("shard_optimizer"));
  }

  private interface Body {
    void run() throws Exception;
  }

  private static Problem failure(Body body) {
    try {
      body.run();
    } catch (Throwable e) {
      return (Problem) requireNonNull(e instanceof AssertionError ? e.getCause() : e);
    }
    throw new AssertionError("it did not fail");
  }
}
