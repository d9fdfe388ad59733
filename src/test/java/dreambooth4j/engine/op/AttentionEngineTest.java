package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.kernel.Autotuner;
import dreambooth4j.engine.op.AttentionEngine.Operators;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The attentions of libtorch that can be held against something without a GPU. */
class AttentionEngineTest {
  /** An operator's schema, as far as it is compared: types by name, in order. */
  private record Schema(Map<String, String> arguments, List<String> results) {
    static Schema of(String operator) {
      String text = Boxed.schema(operator);
      int arrow = text.indexOf(" -> ");
      Map<String, String> arguments = new LinkedHashMap<>();
      for (String each : items(text.substring(text.indexOf('('), arrow))) {
        if (!each.equals("*")) {
          String argument = each.replaceFirst("=.*", "");
          int space = argument.indexOf(' ');
          arguments.put(argument.substring(space + 1), argument.substring(0, space));
        }
      }
      return new Schema(
          arguments, items(text.substring(arrow + 4)).stream().map(Schema::name).toList());
    }

    private static List<String> items(String inBrackets) {
      return List.of(inBrackets.substring(1, inBrackets.length() - 1).split(", "));
    }

    /** The name of "Tensor output", and "" where only the type is said. */
    private static String name(String result) {
      return result.replaceFirst("^\\w+ ?", "");
    }
  }

  /** Checks every call against its schema, remembers it, and computes nothing. */
  private static final class Recorder implements Operators {
    final List<Map<String, @Nullable Object>> calls = new ArrayList<>();
    final List<Map<String, Tensor>> results = new ArrayList<>();

    @Override
    public Tensor[] call(String name, @Nullable Object... arguments) {
      Schema schema = Schema.of(name);
      assertThat(arguments).as(name).hasSameSizeAs(schema.arguments.keySet());
      Map<String, @Nullable Object> call = new LinkedHashMap<>();
      schema.arguments.forEach(
          (argument, type) -> {
            Object given = arguments[call.size()];
            assertThat(isOf(type, given)).as(name + ": " + type + " " + argument).isTrue();
            call.put(argument, given);
          });
      calls.add(call);
      Tensor[] made = new Tensor[schema.results.size()];
      Map<String, Tensor> byName = new LinkedHashMap<>();
      for (int i = 0; i < made.length; i++) {
        made[i] = new Tensor();
        byName.put(schema.results.get(i), made[i]);
      }
      results.add(byName);
      return made;
    }

    private static boolean isOf(String type, @Nullable Object given) {
      return switch (type) {
        case "Tensor" -> given instanceof Tensor;
        case "Tensor?" -> given == null || given instanceof Tensor;
        case "float" -> given instanceof Double;
        case "float?" -> given == null || given instanceof Double;
        case "bool" -> given instanceof Boolean;
        case "int", "SymInt" -> given instanceof Long;
        case "bool[4]" -> given instanceof boolean[] flags && flags.length == 4;
        default -> throw new IllegalStateException(type);
      };
    }
  }

  private static final class Inputs {
    final Qkv qkv;
    final Tensor dy;

    Inputs(Arena arena, DType dtype, long queries, long keys, boolean causal) {
      SplittableRandom random = new SplittableRandom(5);
      Tensor q = heads(arena, dtype, random, queries);
      Tensor k = heads(arena, dtype, random, keys);
      Tensor v = heads(arena, dtype, random, keys);
      qkv = new Qkv(q, k, v, causal);
      dy = heads(arena, dtype, random, queries);
    }

    private static Tensor heads(Arena arena, DType dtype, SplittableRandom random, long tokens) {
      dreambooth4j.engine.Tensor made = OpCase.random(arena, dtype, random, 2, tokens, 3, 8);
      return arena.compute("heads", () -> made.handle().transpose(1, 2)).handle();
    }
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"PLAIN", "DRY"})
  void shouldPassEachArgumentWhereTheSchemaHasIt(AttentionEngine engine) {
    try (Arena arena = Arena.open("test")) {
      Inputs in = new Inputs(arena, DType.F32, 5, 7, true);
      Recorder recorder = new Recorder();
      Tensor[] out = engine.forward(recorder, in.qkv);
      Tensor[] gradients = engine.backward(recorder, in.qkv, out, in.dy);

      assertThat(gradients).hasSizeGreaterThanOrEqualTo(3);
      Map<String, @Nullable Object> forward = recorder.calls.get(0);
      Map<String, @Nullable Object> backward = recorder.calls.get(1);
      Map<String, Tensor> results = recorder.results.get(0);
      assertThat(out[0]).isSameAs(results.values().iterator().next());
      for (Map<String, @Nullable Object> call : recorder.calls) {
        assertThat(call.get("query")).isSameAs(in.qkv.q());
        assertThat(call.get("key")).isSameAs(in.qkv.k());
        assertThat(call.get("value")).isSameAs(in.qkv.v());
        assertThat(call).containsEntry("is_causal", true).containsEntry("dropout_p", 0.0);
        assertThat(call.get("scale")).isNull();
      }
      assertThat(forward.getOrDefault("compute_log_sumexp", true)).isEqualTo(true);
      assertThat(forward.getOrDefault("return_debug_mask", false)).isEqualTo(false);
      assertThat(backward.getOrDefault("grad_out", backward.get("grad_out_"))).isSameAs(in.dy);
      assertThat(backward.get("out")).isSameAs(out[0]);
      assertThat(backward.get("logsumexp")).isSameAs(out[1]).isIn(sums(results));
      assertThat(backward.getOrDefault("max_q", 5L)).isEqualTo(5L);
      assertThat(backward.getOrDefault("max_k", 7L)).isEqualTo(7L);
      for (String seed : List.of("philox_seed", "philox_offset")) {
        if (results.containsKey(seed)) {
          assertThat(backward.get(seed)).isSameAs(results.get(seed));
        }
      }
    }
  }

  private static List<Tensor> sums(Map<String, Tensor> results) {
    return results.entrySet().stream()
        .filter(each -> each.getKey().matches("log_?sumexp"))
        .map(Map.Entry::getValue)
        .toList();
  }

  @ParameterizedTest
  @CsvSource({"PLAIN,F64,7,5", "PLAIN,F32,13,40", "CPU_FLASH,F32,13,40", "CPU_FLASH,BF16,16,8"})
  void shouldComputeWhatTheCpuDoesInDoubles(String engine, DType dtype, long tokens, long width) {
    new AttentionCheck(engine, dtype, tokens, width, false).replayedOn(t -> t, Again::new);
    new AttentionCheck(engine, dtype, tokens, width, true).replayedOn(t -> t, Again::new);
  }

  @Test
  void shouldTakeWhatIsFastestForwardAndBackwardAndPassOverWhatCannotDoIt(@TempDir Path folder) {
    Recorder recorder = new Recorder();
    Operators operators =
        (name, arguments) -> {
          if (name.contains("cudnn")) {
            throw new IllegalStateException("no plan for this GPU");
          } else if (name.equals("_scaled_dot_product_flash_attention_backward")) {
            pause();
          }
          return recorder.call(name, arguments);
        };
    Sizes sizes = new Sizes(DType.BF16, 2, 3, 5, 7, 8, false);

    try (Arena arena = Arena.open("test")) {
      Qkv qkv = new Inputs(arena, DType.F32, 5, 7, false).qkv;
      AttentionTrials trials =
          new AttentionTrials(operators, new Autotuner(folder, "attention", "a GPU"), Device.CPU);
      assertThat(trials.choose(sizes, () -> qkv, true)).isEqualTo(AttentionEngine.EFFICIENT);
      int calls = recorder.calls.size();
      assertThat(trials.choose(sizes, () -> qkv, true)).isEqualTo(AttentionEngine.EFFICIENT);
      assertThat(recorder.calls).as("tried once").hasSize(calls);
      trials.choose(sizes, () -> qkv, false);
      assertThat(recorder.calls).as("forward alone is another choice").hasSizeGreaterThan(calls);
    }
  }

  /** A recorder that runs the work itself at each replay. */
  private static final class Again implements dreambooth4j.engine.kernel.Recorder {
    @Override
    public Runnable record(Runnable work) {
      return work;
    }

    @Override
    public void close() {}
  }

  private static void pause() {
    try {
      Thread.sleep(3);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void shouldFindAnEngineForEveryTypeAndWidth() {
    for (DType dtype : List.of(DType.F64, DType.F32, DType.BF16, DType.F16)) {
      for (long width : new long[] {1, 6, 8, 40, 64, 80, 160, 512}) {
        Sizes sizes = new Sizes(dtype, 1, 1, 5, 7, width, false);
        assertThat(AttentionEngine.values()).as(sizes.toString()).anyMatch(e -> e.takes(sizes));
      }
    }
    assertThat(AttentionEngine.FLASH.takes(new Sizes(DType.BF16, 2, 8, 4096, 4096, 40, false)))
        .isTrue();
    assertThat(AttentionEngine.FLASH.takes(new Sizes(DType.F32, 2, 8, 4096, 4096, 40, false)))
        .isFalse();
    assertThat(AttentionEngine.CUDNN.takes(new Sizes(DType.BF16, 1, 1, 4096, 4096, 512, false)))
        .isFalse();
    assertThat(AttentionEngine.FLASH.takes(new Sizes(DType.F16, 1, 1, 5, 7, 64, true))).isFalse();
  }

  @Test
  void shouldBoxAListOfFlags() {
    try (Arena arena = Arena.open("test")) {
      SplittableRandom random = new SplittableRandom(1);
      Tensor x = OpCase.random(arena, DType.F32, random, 3, 4).handle();
      Native.run(
          "flags",
          () -> {
            Tensor row = torch.ones_like(x.select(0, 0));
            boolean[] wanted = {false, true, false};
            Tensor[] all =
                Boxed.call(
                    "native_batch_norm_backward",
                    x,
                    x,
                    row,
                    null,
                    null,
                    row,
                    row,
                    true,
                    1e-5,
                    wanted);
            assertThat(Arrays.stream(all).map(Tensor::defined)).containsExactly(false, true, false);
          });
    }
  }
}
