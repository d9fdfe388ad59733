package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * {@code kill -9} at random moments of processes that train with whatever has a state: however
 * often a run is killed, {@code latest} takes it to the same model and the same checkpoint, byte
 * for byte. Takes minutes: {@code ./mvnw test -Dtest=KillTrialTest -Dkills=50} kills each run that
 * often.
 */
@DisabledOnOs(OS.WINDOWS)
@EnabledIfSystemProperty(named = "kills", matches = "\\d{1,4}")
@Timeout(3600)
class KillTrialTest {
  private static final String LATEST = "--resume_from_checkpoint=latest";

  /** A run is let come to its end after so many kills, and the next begins. */
  private static final int KILLS_A_RUN = 5;

  private static final int LONGEST_WAIT_MILLISECONDS = 60;

  private final Random random = new Random(7);

  @TempDir Path folder;

  private static TinyRun stateful(Path folder, String options) throws IOException {
    return new TinyRun(folder)
        .with("max_train_steps", 12)
        .with("num_train_epochs", 100)
        .with("gradient_accumulation_steps", 2)
        .with("train_text_encoder", true)
        .with("use_ema", true)
        .with("ema_warmup", "ratio")
        .with("offset_noise", 0.1)
        .with("checkpointing_steps", 3)
        .with("checkpoints_total_limit", 2)
        .with("save_model_every", 4)
        .with("save_state_after", true)
        .with("validation_share", 0.4)
        .with("validate_every_n_steps", 2)
        .with("save_best", true)
        .with("validation_steps", 5)
        .withOptions(options);
  }

  /** What tells its weights and its state: every file of numbers, but for what a cache holds. */
  private static Map<String, String> numbers(Path output) throws IOException {
    Map<String, String> numbers = new TreeMap<>();
    try (Stream<Path> files = Files.walk(output)) {
      for (Path file : files.filter(each -> each.toString().endsWith(".safetensors")).toList()) {
        String name = output.relativize(file).toString();
        if (!name.startsWith("cache")) {
          numbers.put(name, TinyModel.numbers(file));
        }
      }
    }
    return numbers;
  }

  @ParameterizedTest
  @CsvSource({
    "whole, optimizer=Prodigy learning_rate=1",
    "eighths, use_8bit_adam=true mixed_precision=fp16 class_images_refresh_epochs=3",
    "lora, use_lora=true lora_rank=2 use_8bit_adam=true train_batch_size=2",
    "free, optimizer=AdamWScheduleFree use_ema=false save_model_as=both"
  })
  void shouldComeToTheSameEndHoweverOftenItIsKilled(String name, String options) throws Exception {
    TinyRun whole = stateful(folder.resolve(name), options);
    Ran ran = Ran.of(whole.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    Map<String, String> expected = numbers(whole.output());
    long lines = ran.err().lines().count();
    int kills = Integer.getInteger("kills");
    List<String> moments = new ArrayList<>();
    for (int run = 0; moments.size() < kills; run++) {
      TinyRun killed = stateful(folder.resolve(name + run), options);
      int most = Math.min(kills, moments.size() + KILLS_A_RUN);
      while (moments.size() < most && !isFinished(killed)) {
        kill(killed, lines, moments);
      }
      if (!isFinished(killed)) {
        ran = Ran.of(arguments(killed));
        assertThat(ran.exitCode()).as("%s\n%s", moments, ran.err()).isZero();
      }
      assertThat(numbers(killed.output())).as("%s", moments).isEqualTo(expected);
      System.out.printf("%s: %d kills, each to the same end: %s%n", name, moments.size(), moments);
    }
  }

  private static boolean isBegun(TinyRun run) {
    return Stream.of(".starting", ".unfinished", ".dreambooth-changes")
        .anyMatch(name -> Files.exists(run.output().resolve(name)));
  }

  private static boolean isFinished(TinyRun run) {
    return !isBegun(run) && Files.exists(run.output().resolve("metrics.jsonl"));
  }

  private static List<String> arguments(TinyRun run) {
    return isBegun(run) ? run.arguments("train", LATEST) : run.arguments("train");
  }

  /** Kills it a while after one of its lines, unless it has ended before. */
  private void kill(TinyRun run, long lines, List<String> moments) throws Exception {
    try (Child child = Child.of(arguments(run))) {
      String line = child.line(random.nextInt((int) lines));
      Thread.sleep(random.nextInt(LONGEST_WAIT_MILLISECONDS));
      if (line != null && child.kill()) {
        moments.add(line.replaceFirst("[:|].*", "").strip());
      }
    }
  }
}
