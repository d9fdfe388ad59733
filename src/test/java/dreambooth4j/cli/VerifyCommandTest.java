package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class VerifyCommandTest {
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final Path SD1 = GOLDENS.resolve("sd1");

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2", "sdxl"})
  void shouldReproduceEveryRecordedCase(String family) throws IOException {
    Path goldens = GOLDENS.resolve(family);
    List<String> args = new ArrayList<>(List.of("verify", goldens.resolve("model").toString()));
    try (Stream<Path> files = Files.list(goldens)) {
      files.filter(Files::isRegularFile).map(Path::toString).sorted().forEach(args::add);
    }

    Ran ran = Ran.of(args.toArray(String[]::new));

    assertThat(ran.out().lines()).hasSize(args.size() - 2 + 1);
    assertThat(ran.out()).doesNotContain("FAIL").endsWith("All within limits.\n");
    assertThat(ran.exitCode()).isZero();
  }

  @Test
  void shouldReproduceWhatLorasGiveInEveryNaming() {
    Path files = GOLDENS.resolve("lora/sdxl-all-files.safetensors");

    Ran ran = verify(GOLDENS.resolve("sdxl/model"), files);

    assertThat(ran.out()).startsWith("ok    sdxl-all-files.safetensors").contains("12 compared");
    assertThat(ran.exitCode()).isZero();
  }

  /** Cases of no model, a whole folder of them. */
  @ParameterizedTest
  @ValueSource(strings = {"objectives", "optimizers"})
  void shouldReproduceEveryRecordedOption(String name) throws IOException {
    Path cases = GOLDENS.resolve(name);
    Ran ran = Ran.of("verify", cases.toString());
    try (Stream<Path> files = Files.list(cases)) {
      assertThat(ran.out().lines()).hasSize((int) files.count() + 1);
    }
    assertThat(ran.out()).doesNotContain("FAIL").endsWith("All within limits.\n");
    assertThat(ran.out().lines().filter(line -> line.startsWith("ok")))
        .as("columns, though names are of 14 to 41 letters")
        .extracting(line -> line.indexOf(" compared, worst ") + ", " + line.indexOf(": "))
        .doesNotContain("-1, -1")
        .containsOnly(ran.out().indexOf(" compared, worst ") + ", " + ran.out().indexOf(": "));
    assertThat(ran.exitCode()).isZero();
  }

  @Test
  void shouldAskForAModelWhereACaseNeedsOne() {
    Ran ran = Ran.of("verify", SD1.resolve("vae.safetensors").toString());
    assertThat(ran.out()).contains("this case is of a model: give the model's folder before it");
    assertThat(ran.exitCode()).isEqualTo(1);
  }

  @Test
  void shouldRunTheNamedCaseAlone() {
    String model = SD1.resolve("model").toString();
    String vae = SD1.resolve("vae.safetensors").toString();
    String adamw = SD1.resolve("adamw.safetensors").toString();

    Ran one = Ran.of("verify", model, vae, adamw, "--case", "adamw");
    Ran none = Ran.of("verify", model, vae, adamw, "--case", "unet");

    assertThat(one.out()).contains("adamw.safetensors").doesNotContain("vae.safetensors");
    assertThat(one.exitCode()).isZero();
    assertThat(none.exitCode()).isEqualTo(2);
    assertThat(none.err()).contains("--case unet: none of the 2 files has this in its name");
  }

  @ParameterizedTest
  @CsvSource({
    "unet.safetensors, output.sample",
    "unet.safetensors, grad.sample",
    "unet.safetensors, grad.encoder_hidden_states",
    "unet.safetensors, grad.conv_in.weight",
    "unet.safetensors, grad.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "unet_odd.safetensors, output.sample",
    "text_encoder.safetensors, output.last_hidden_state",
    "text_encoder.safetensors, output.clip_skip.2",
    "prompts.safetensors, output.75.1",
    "prompts.safetensors, output.150.2",
    "prompts.safetensors, output.225.1",
    "vae.safetensors, output.image",
    "schedulers.safetensors, output.noisy",
    "schedulers.safetensors, output.unipc.path",
    "adamw.safetensors, output.parameter",
    "../optimizers/lion.safetensors, output.conv",
    "train_prior.safetensors, output.loss",
    "train_snr_offset_accum.safetensors, output.grad_norm",
  })
  void shouldNoticeATensorThatIsOffByAThousandth(String name, String tensor) {
    Path changed = rewrite(SD1.resolve(name), tensor, 1.001, UnaryOperator.identity());

    Ran ran = verify(SD1.resolve("model"), changed);

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).contains("FAIL", " in " + tensor, "NOT within limits.");
  }

  /** Of an embedding's gradient only rows that are not zeros are recorded, with their numbers. */
  @ParameterizedTest
  @CsvSource({"2047, FAIL", "2048, not understood: rows.grad.embeddings.token_embedding.weight"})
  void shouldNoticeARowOfAGradientAtAnotherPlace(long place, String expected) {
    Ran ran =
        verifyRows(
            rows -> {
              rows[0] = place;
              return rows;
            });
    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).contains(expected);
  }

  @Test
  void shouldNoticeAGradientOfOtherRowsThanAreNumbered() {
    Ran ran = verifyRows(rows -> Arrays.copyOf(rows, rows.length - 1));
    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).containsPattern("has \\d+ elements, which are not \\d+ rows of the");
  }

  private Ran verifyRows(UnaryOperator<long[]> change) {
    String rows = "rows.grad.embeddings.token_embedding.weight";
    Path changed = folder.resolve("changed.safetensors");
    try (Arena arena = Arena.open("test");
        Safetensors file = Safetensors.open(SD1.resolve("text_encoder.safetensors"))) {
      SafetensorsWriter writer = new SafetensorsWriter();
      file.metadata().forEach(writer::metadata);
      for (String name : file.tensors().keySet()) {
        Tensor stored = file.read(arena, name);
        if (name.equals(rows)) {
          long[] places = change.apply(stored.toLongs());
          stored = arena.longs(name, places, places.length);
        }
        writer.add(name, stored);
      }
      writer.write(arena, changed);
    }
    return verify(SD1.resolve("model"), changed);
  }

  @Test
  void shouldNoticeATokenThatDiffers() throws IOException {
    Path changed = folder.resolve("tokenizer.json");
    String recorded = Files.readString(SD1.resolve("tokenizer.json"));
    Files.writeString(changed, recorded.replaceFirst("(?s)(\"input_ids\": \\[\\s*\\d+)", "$19"));

    Ran ran = verify(SD1.resolve("model"), changed);

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).contains("worst 1.0e+00 of 0e+00: ids that differ in");
  }

  @Test
  void shouldNameAParameterThatTheModelLacks() throws IOException {
    Path model = folder.resolve("model");
    copyFolder(SD1.resolve("model"), model);
    Path weights = model.resolve("unet/diffusion_pytorch_model.safetensors");
    Files.move(
        rewrite(weights, "conv_in.bias", 0, UnaryOperator.identity()),
        weights,
        StandardCopyOption.REPLACE_EXISTING);

    Ran ran = verify(model, SD1.resolve("unet.safetensors"));

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.err()).contains("conv_in.bias", weights.toString());
  }

  @Test
  void shouldNotPassOverAComponentThatItDoesNotKnow() {
    Path changed =
        rewrite(
            SD1.resolve("adamw.safetensors"),
            null,
            1,
            settings -> settings.replace("\"adamw\"", "\"lion\""));

    Ran ran = verify(SD1.resolve("model"), changed);

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).contains("not understood: component lion");
  }

  @Test
  void shouldNotPassOverATensorThatNothingComputes() {
    Path changed = folder.resolve("adamw.safetensors");
    try (Arena arena = Arena.open("test");
        Safetensors file = Safetensors.open(SD1.resolve("adamw.safetensors"))) {
      SafetensorsWriter writer = new SafetensorsWriter();
      file.metadata().forEach(writer::metadata);
      file.tensors().keySet().forEach(name -> writer.add(name, file.read(arena, name)));
      writer.add("output.surplus", arena.floats("surplus", new float[] {1}, 1));
      writer.write(arena, changed);
    }

    Ran ran = verify(SD1.resolve("model"), changed);

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).contains("not understood: nothing here computes output.surplus");
  }

  @Test
  void shouldGoOnAfterACaseThatIsMissing() {
    Ran ran =
        verify(SD1.resolve("model"), Path.of("no.safetensors"), SD1.resolve("adamw.safetensors"));

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).contains("FAIL  no.safetensors", "ok    adamw.safetensors");
  }

  private static Ran verify(Path model, Path... cases) {
    List<String> args = new ArrayList<>(List.of("verify", model.toString()));
    Stream.of(cases).map(Path::toString).forEach(args::add);
    return Ran.of(args.toArray(String[]::new));
  }

  /** A copy with one tensor multiplied by a factor, or left out where that is 0. */
  private Path rewrite(
      Path source, @Nullable String tensor, double factor, UnaryOperator<String> metadata) {
    Path target = folder.resolve("changed.safetensors");
    try (Arena arena = Arena.open("test");
        Safetensors file = Safetensors.open(source)) {
      assertThat(tensor == null || file.tensors().containsKey(tensor)).isTrue();
      SafetensorsWriter writer = new SafetensorsWriter();
      file.metadata().forEach((key, value) -> writer.metadata(key, metadata.apply(value)));
      for (String name : file.tensors().keySet()) {
        Tensor stored = file.read(arena, name);
        if (!name.equals(tensor)) {
          writer.add(name, stored);
        } else if (factor != 0) {
          writer.add(name, WeightedSum.of(arena, new double[] {factor}, stored));
        }
      }
      writer.write(arena, target);
    }
    return target;
  }

  private static void copyFolder(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path each : files.toList()) {
        Files.copy(each, to.resolve(from.relativize(each)));
      }
    }
  }
}
