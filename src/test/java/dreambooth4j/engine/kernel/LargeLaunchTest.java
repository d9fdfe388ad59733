package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Moment;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import java.io.IOException;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Sizes at which an index of 32 bits overflows: the first, the middle and the last block of each
 * launch, on memory that is zero and takes none until it is written. What lies within 32 GB of a
 * tensor is out of bounds, and the last elements must be computed.
 */
@Tag("kernels")
class LargeLaunchTest {
  private static final long ENDS = 64;

  /** So many that the last block of a grid has the last elements. */
  private static final long N = 3L << 30;

  private final Launcher device = Emulator.ofSomeBlocks();

  @SuppressWarnings("NullAway.Init")
  private Arena arena;

  @SuppressWarnings("NullAway.Init")
  private GuardedMemory memory;

  @BeforeAll
  static void compile() throws IOException, InterruptedException {
    assumeTrue(Emulator.available(), "g++ is not installed");
    Emulator.load();
  }

  @BeforeEach
  void open() {
    arena = Arena.open("test");
    memory = GuardedMemory.sparse(arena);
  }

  @AfterEach
  void close() {
    memory.close();
    arena.close();
  }

  /** Zeros that end with some ones. */
  private Tensor ones(DType dtype, long... shape) {
    Tensor made = memory.allocate(dtype, shape);
    Native.run("ones", () -> last(made).fill_(new Scalar(1)));
    return made;
  }

  private static org.bytedeco.pytorch.Tensor last(Tensor of) {
    long length = Math.min(ENDS, of.count());
    return of.handle().view(-1).narrow(0, of.count() - length, length);
  }

  /** Whether all of the last elements are computed: of zeros no kernel here makes any other. */
  private static void assertReached(Tensor written) {
    boolean all = Native.call("last", () -> last(written).ne(new Scalar(0)).all().item_bool());
    assertThat(all).as("the last elements of " + written).isTrue();
  }

  @Test
  void shouldMultiplyByGatesOfFourBillionNumbers() {
    long rows = 51 * 4096;
    Tensor x = memory.allocate(DType.BF16, rows, 20_480);
    Native.run("ones", () -> x.handle().narrow(0, rows - 1, 1).fill_(new Scalar(1)));
    Tensor y = memory.allocate(DType.BF16, rows, 10_240);
    Tensor dx = memory.allocate(DType.BF16, rows, 20_480);
    GegluKernels.forward(device, x, y);
    GegluKernels.backward(device, ones(DType.BF16, rows, 10_240), x, dx);
    assertReached(y);
    assertReached(dx);
  }

  @Test
  void shouldAddThreeBillionNumbers() {
    Tensor a = ones(DType.BF16, N);
    Tensor y = memory.allocate(DType.BF16, N);
    AddKernels.add(device, a, a, y);
    assertReached(y);
  }

  /** SDXL's UNet has 2.6 billion weights in one buffer. */
  @Test
  void shouldUpdateThreeBillionWeights() {
    UpdateRule rule = UpdateRules.named("AdamW", new UpdateRule.Constants(0.9, 0.999, 1e-8, 0));
    OptimizerKernels kernels = new OptimizerKernels(device, arena, rule);
    Tensor gradients = ones(DType.BF16, N);
    Tensor partial = memory.allocate(DType.F64, OptimizerKernels.partials(N));
    OptimizerKernels.squares(device, gradients, partial);
    Tensor coefficients = memory.allocate(DType.F32, OptimizerKernels.COEFFICIENTS);
    kernels.begin(
        ones(DType.F32, 1),
        ones(DType.F32, 1),
        1,
        null,
        memory.allocate(DType.F32, 1),
        coefficients,
        0);
    Tensor weights = memory.allocate(DType.F32, N);
    Tensor copy = memory.allocate(DType.BF16, N);
    List<Moment> moments =
        rule.moments().stream()
            .map(each -> new Moment(each.code(), memory.allocate(DType.F32, N), null))
            .toList();
    kernels.update(
        coefficients,
        gradients,
        new OptimizerKernels.Masters(weights, copy),
        moments,
        OptimizerKernels.Pull.NONE);
    assertReached(copy);
    assertReached(weights);
    moments.forEach(each -> assertReached(each.values()));
  }

  /** Sixty-four pictures of 1024 px between the last blocks of Stable Diffusion, and more. */
  @Test
  void shouldNormalisePicturesOfThreeBillionNumbers() {
    Tensor x = ones(DType.BF16, 192, 128, 128, 960);
    // The last blocks of its backward are the parameters': what is before them is bounded alone.
    norm(x, new GroupNormKernels(device, new GroupNormKernels.Norm(32, 1e-5, true)));
  }

  @Test
  void shouldNormaliseTokensOfThreeBillionNumbers() {
    assertReached(norm(ones(DType.BF16, 600, 4096, 1280), new LayerNormKernels(device, 1e-5)));
  }

  /** Forward, whose result must be reached, and backward: dx. */
  private Tensor norm(Tensor x, NormKernels kernels) {
    long channels = x.size(-1);
    NormKernels.Tensors of =
        new NormKernels.Tensors(
            x,
            ones(DType.BF16, channels),
            ones(DType.BF16, channels),
            memory.allocate(DType.F32, kernels.statistics(x)),
            ones(DType.F32, kernels.statistics(x))); // by a block that may be left out
    Tensor y = memory.allocate(DType.BF16, x.shape());
    long work = kernels.forwardWork(x);
    kernels.forward(of, work == 0 ? null : memory.allocate(DType.F32, work), y);
    assertReached(y);
    Tensor dx = memory.allocate(DType.BF16, x.shape());
    kernels.backward(
        of,
        ones(DType.BF16, x.shape()),
        null,
        memory.allocate(DType.F32, kernels.backwardWork(x)),
        new NormKernels.Gradients(
            dx,
            memory.allocate(DType.BF16, channels),
            memory.allocate(DType.BF16, channels),
            false));
    return dx;
  }
}
