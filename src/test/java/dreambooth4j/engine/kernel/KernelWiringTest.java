package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.OpCase;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import dreambooth4j.model.UNetConfig;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A whole UNet forward and back through the ops, with every kernel that they choose emulated: that
 * arguments are in their places, that gradients gather where they should, and that no op is plain
 * where a kernel could do it.
 */
@Tag("kernels")
class KernelWiringTest {
  /**
   * Widths that are whole vectors and widths that are not, attention's weights one behind the other
   * and apart; sizes that a level does not halve.
   */
  private static final String UNET =
      """
      {"block_out_channels": [20, 32, 30], "norm_num_groups": 2, "attention_head_dim": 2,
       "layers_per_block": 1, "cross_attention_dim": 16,
       "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
       "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]}
      """;

  /** Steps that gather into the same gradients. */
  private static final int STEPS = 2;

  /** Counts launches by entry, its storage type left out. */
  private static final class Counting implements Launcher {
    private final Launcher device = new Emulator(false);
    final Map<String, Integer> launches = new TreeMap<>();

    @Override
    public void launch(Launch launch) {
      launches.merge(
          launch.entry().replaceFirst("(_\\d+)?_(f32|bf16|f16)(_odd)?$", ""), 1, Integer::sum);
      device.launch(launch);
    }
  }

  /** A UNet, what it gave in each step, and the gradients that it gathered. */
  private static final class Run {
    final Arena arena;
    final Parameters parameters;
    final UNet unet;
    final List<Tensor> results = new ArrayList<>();

    /**
     * Weights are numbers that {@code rounding} has, in {@code dtype}; inputs are F32 beside 16
     * bits.
     */
    Run(Arena arena, DType dtype, DType rounding, boolean checkpointing) {
      this.arena = arena;
      parameters = new Parameters(dtype);
      unet = new UNet(config(), parameters);
      parameters.allocate(arena, true);
      SplittableRandom random = new SplittableRandom(3);
      for (Parameter each : parameters.all()) {
        each.master().copyFrom(firstValues(random, each, rounding));
      }
      parameters.copyMasters();
      long before = arena.meter().liveCount();
      for (int step = 0; step < STEPS; step++) {
        step(random, dtype == DType.F64 ? dtype : DType.F32, rounding, checkpointing);
      }
      assertThat(arena.meter().liveCount() - results.size())
          .as("all else is released")
          .isEqualTo(before);
      parameters.all().forEach(each -> results.add(each.gradient()));
    }

    private static UNetConfig config() {
      try {
        return UNetConfig.of(new ObjectMapper().readTree(UNET), "the test's UNet");
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
    }

    private Tensor firstValues(SplittableRandom random, Parameter parameter, DType rounding) {
      Tensor values = OpCase.random(arena, DType.F32, random, parameter.shape());
      float[] numbers = values.toFloats();
      double scale = parameter.fileShape().length == 1 ? 0.3 : Math.sqrt(1.0 / fanIn(parameter));
      boolean isScale = parameter.name().contains("norm") && parameter.name().endsWith(".weight");
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (float) (scale * numbers[i]) + (isScale ? 1 : 0);
      }
      values.copyFrom(numbers);
      return rounded(values, rounding, DType.F32);
    }

    private static double fanIn(Parameter parameter) {
      return (double) parameter.count() / parameter.fileShape()[0];
    }

    private Tensor rounded(Tensor values, DType rounding, DType dtype) {
      Tensor low = arena.allocate("rounded", rounding, values.shape());
      low.copyFrom(values);
      values.release();
      Tensor made = arena.allocate("made", dtype, low.shape());
      made.copyFrom(low);
      low.release();
      return made;
    }

    private Tensor normal(SplittableRandom random, DType rounding, DType dtype, long... shape) {
      return rounded(OpCase.random(arena, DType.F32, random, shape), rounding, dtype);
    }

    private void step(SplittableRandom random, DType dtype, DType rounding, boolean checkpointing) {
      Tensor latents = normal(random, rounding, dtype, 3, 6, 5, 4);
      Tensor prompts = normal(random, rounding, dtype, 3, 7, 16);
      Tensor seed = normal(random, rounding, dtype, 3, 6, 5, 4);
      Tensor timesteps = rounded(arena.longs("timesteps", new long[] {1, 3, 5}, 3), dtype, dtype);
      try (Tape tape = Tape.recording(arena, new Tape.Saving(checkpointing, () -> {}))) {
        Var prompt = tape.input(prompts);
        Var y = unet.forward(tape, tape.input(latents), timesteps, Conditioning.of(prompt));
        results.add(y.value().retain());
        tape.backward(y, seed);
        Tensor gradient = prompt.gradient();
        assertThat(gradient).isNotNull();
        results.add(gradient.retain());
      }
      List.of(latents, prompts, seed, timesteps).forEach(Tensor::release);
    }
  }

  @BeforeAll
  static void compile() throws IOException, InterruptedException {
    assumeTrue(Emulator.available(), "g++ is not installed");
    Emulator.load();
  }

  @ParameterizedTest
  @CsvSource({"F32,false", "F32,true", "BF16,false"})
  void shouldTrainAsThePlainOpsDo(DType dtype, boolean checkpointing) {
    Counting device = new Counting();
    try (Arena emulated = Emulated.open(device);
        Arena plain = Arena.open("plain")) {
      Run ours = new Run(emulated, dtype, dtype, checkpointing);
      Run theirs = new Run(plain, dtype, dtype, false);
      Run exact = new Run(plain, DType.F64, dtype, false);

      for (int i = 0; i < exact.results.size(); i++) {
        Closeness closeness =
            Closeness.of(
                "result %d of %d".formatted(i, exact.results.size()),
                ours.results.get(i),
                theirs.results.get(i),
                exact.results.get(i));
        // Not twice but three times, and four roundings: what chance does in one of hundreds.
        assertThat(closeness.ours())
            .as(closeness.toString())
            .isLessThan(3 * closeness.plain() + 4 * Closeness.rounding(dtype));
      }
      if (!checkpointing) {
        assertThat(device.launches).isEqualTo(expected(ours.parameters));
      }
    }
  }

  /**
   * Gradients of weights and inputs may be computed at once: neither reads what the other writes.
   */
  @Test
  void shouldGiveTheSameBitsWhicheverGradientIsFirst() {
    List<Integer> forks = new ArrayList<>();
    Fork swapped =
        (work, beside) -> {
          work.run();
          beside.run();
          forks.add(1);
        };
    try (Arena one = Emulated.open(new Emulator(false));
        Arena other = Emulated.open(new Emulator(false), swapped)) {
      Run first = new Run(one, DType.F32, DType.F32, false);
      Run second = new Run(other, DType.F32, DType.F32, false);
      for (int i = 0; i < first.results.size(); i++) {
        assertThat(second.results.get(i).toFloats())
            .as("result %d", i)
            .isEqualTo(first.results.get(i).toFloats());
      }
      assertThat(forks).hasSize(STEPS * forks(first.parameters));
    }
  }

  /** One of each layer whose input has a gradient; q, k and v have one together. */
  private static int forks(Parameters parameters) {
    long matrices = parameters.all().stream().filter(each -> each.fileShape().length > 1).count();
    return (int) matrices - 2 * layers(parameters, ".to_q.weight") - 1; // the timestep has none
  }

  /** Launches of all steps, from the model's layers: an op that is plain is missing here. */
  private static Map<String, Integer> expected(Parameters parameters) {
    int resnets = layers(parameters, ".conv1.weight");
    int transformers = layers(parameters, ".proj_in.weight");
    int blocks = layers(parameters, ".ff.net.2.weight");
    int groupNorms = 2 * resnets + transformers + 1;
    Map<String, Integer> each = new TreeMap<>();
    for (String entry : List.of("sums", "normalise", "backward_sums", "backward_dx")) {
      each.put("group_norm_" + entry, groupNorms);
    }
    each.put("layer_norm_forward", 3 * blocks);
    each.put("layer_norm_backward", 3 * blocks);
    each.put("geglu_forward", blocks);
    each.put("geglu_backward", blocks);
    // Two of a block's three sums are its norms' own.
    each.put("add", transformers + blocks);
    // In a residual block: the time embedding with two biases, the residual sum with one or two.
    each.put("add_per_sample", 2 * resnets);
    // Of each bias, but one launch has those of a sum's two layers and of the time embedding.
    int shortcuts = layers(parameters, ".conv_shortcut.weight");
    each.put("column_sums", biases(parameters) - resnets - shortcuts);
    each.replaceAll((entry, once) -> STEPS * once);
    return each;
  }

  /** Of linear layers and convolutions. */
  private static int biases(Parameters parameters) {
    return (int)
        parameters.all().stream()
            .map(Parameter::name)
            .filter(each -> each.endsWith(".bias") && !each.matches(".*norm[^.]*\\.bias"))
            .count();
  }

  private static int layers(Parameters parameters, String ending) {
    return (int) parameters.all().stream().filter(each -> each.name().endsWith(ending)).count();
  }
}
