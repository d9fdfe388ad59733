package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.cudnn.Convolution;
import dreambooth4j.engine.cudnn.Convolutions;
import dreambooth4j.engine.kernel.KernelOptimizer;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.bytedeco.pytorch.global.torch;

/**
 * What a device spends a step of Stable Diffusion 1.5 on, piece by piece: each op there and there
 * and back, the three products of each convolution, each attention engine, and the optimizers with
 * the norm. Each piece has several sets of tensors, so that none is read from a cache that the run
 * before filled.
 *
 * <p>Bytes are counted once for each tensor that must be read or written: there, inputs, weights
 * and result; back, the result's gradient, inputs and weights, and their gradients.
 */
public final class DeviceWorks {
  /**
   * A piece.
   *
   * @param flops floating-point operations of all sets; 0 where memory alone decides
   * @param bytes of all sets
   * @param sets how often it is done in one run
   * @param captured whether it can be recorded
   */
  public record Work(
      String op,
      String what,
      double flops,
      double bytes,
      int sets,
      boolean captured,
      Runnable run) {}

  /** All sets together are at least so large, several times a GPU's cache. */
  private static final double SPREAD_BYTES = 256 << 20;

  private static final int MOST_SETS = 16;
  private static final int HEADS = 8;
  private static final int PROMPT_TOKENS = 77;

  private final Device device;
  private final DType dtype;
  private final int rows;
  private final int side;
  private final Consumer<Work> user;

  /** {@code rows} pictures of {@code side} pixels; each piece lives while the user has it. */
  public DeviceWorks(Device device, DType dtype, int rows, int side, Consumer<Work> user) {
    this.device = device;
    this.dtype = dtype;
    this.rows = rows;
    this.side = side;
    this.user = user;
  }

  /** A copy that no cache holds, and a product of square matrices. */
  public void roofline() {
    long copied = device == Device.CUDA ? 1L << 30 : 16L << 20;
    int square = device == Device.CUDA ? 8192 : 512;
    try (Arena arena = Arena.open("roofline", OpBackend.on(device))) {
      Tensor from = random(arena, DType.F32, copied / 4);
      Tensor to = random(arena, DType.F32, copied / 4);
      user.accept(new Work("roofline", "copy", 0, 2.0 * copied, 1, true, () -> to.copyFrom(from)));
      Tensor a = random(arena, dtype, square, square);
      Tensor b = random(arena, dtype, square, square);
      Tensor c = random(arena, dtype, square, square);
      user.accept(
          new Work(
              "roofline",
              "product",
              2 * Math.pow(square, 3),
              3.0 * square * square * dtype.bytes(),
              1,
              true,
              () -> Native.run("product", () -> torch.mm_out(c.handle(), a.handle(), b.handle()))));
    }
  }

  /** Every op at its sizes. */
  public void ops() {
    StableDiffusionOps.of(rows, side).forEach(this::op);
  }

  /** One set of an op's tensors. */
  private record Set(OpCase.Filled filled, Tensor dy) {}

  private void op(OpCase op) {
    try (Arena arena = Arena.open("op", OpBackend.on(device))) {
      List<Set> sets = new ArrayList<>(List.of(set(arena, op)));
      double in = bytes(sets.get(0).filled.inputs()) + parameterBytes(sets.get(0).filled);
      double out = bytes(List.of(sets.get(0).dy));
      int count = sets(in + out);
      while (sets.size() < count) {
        sets.add(set(arena, op));
      }
      user.accept(
          new Work(
              op.toString(),
              "forward",
              count * op.flops(),
              count * (in + out),
              count,
              true,
              () -> sets.forEach(each -> run(arena, op, each, false))));
      user.accept(
          new Work(
              op.toString(),
              "forwardBackward",
              3 * count * op.flops(),
              count * (3 * in + 2 * out),
              count,
              true,
              () -> sets.forEach(each -> run(arena, op, each, true))));
    }
  }

  private static int sets(double bytes) {
    return (int) Math.max(1, Math.min(Math.ceil(SPREAD_BYTES / bytes), MOST_SETS));
  }

  private static double bytes(List<Tensor> tensors) {
    return tensors.stream().mapToDouble(each -> each.count() * (double) each.dtype().bytes()).sum();
  }

  private static double parameterBytes(OpCase.Filled filled) {
    return filled.parameters().count() * (double) filled.parameters().dtype().bytes();
  }

  private Set set(Arena arena, OpCase op) {
    List<Tensor> inputs = op.inputs().stream().map(shape -> random(arena, dtype, shape)).toList();
    Parameters parameters = new Parameters(dtype);
    for (int i = 0; i < op.parameters().size(); i++) {
      parameters.declare("p" + i, op.parameters().get(i));
    }
    parameters.allocate(arena, true);
    for (Parameter each : parameters.all()) {
      Native.run("random", () -> each.weight().handle().normal_());
    }
    OpCase.Filled filled = new OpCase.Filled(inputs, parameters);
    try (Arena step = arena.child("shape");
        Tape tape = Tape.inference(step)) {
      return new Set(filled, random(arena, dtype, filled.run(step, op, tape).value().shape()));
    }
  }

  private static void run(Arena arena, OpCase op, Set set, boolean back) {
    set.filled.parameters().zeroGradients();
    try (Arena step = arena.child("step");
        Tape tape = Tape.recording(step)) {
      Var y = set.filled.run(step, op, tape);
      if (back) {
        tape.backward(y, set.dy);
      }
    }
  }

  private static Tensor random(Arena arena, DType dtype, long... shape) {
    Tensor tensor = arena.allocate("random", dtype, shape);
    Native.run("random", () -> tensor.handle().normal_());
    return tensor;
  }

  /** The products of convolutions by cuDNN, one by one; none where there is no plan. */
  public void convolutions() {
    int latent = side / 8;
    for (int level = 0, channels = 320; level < 4; level++) {
      convolution(latent >> level, channels, channels, 1);
      if (level < 3) {
        convolution(latent >> level, channels, channels, 2);
        int next = Math.min(1280, 2 * channels);
        convolution(latent >> (level + 1), channels, next, 1);
        convolution(latent >> level, next + channels, channels, 1);
        channels = next;
      }
    }
  }

  private void convolution(int pixels, int in, int out, int stride) {
    Convolution shape = new Convolution(dtype, rows, pixels, pixels, in, out, 3, 3, stride, 1);
    try (Arena arena = Arena.open("convolution", OpBackend.on(device))) {
      Convolutions by = OpBackend.of(arena).convolutions();
      if (by == null || !by.take(arena, shape, true, true)) {
        return;
      }
      Parameters group = new Parameters(dtype);
      Parameter weight = group.declare("w", out, in, 3, 3);
      group.allocate(arena, true);
      Native.run("random", () -> weight.weight().handle().normal_());
      Tensor x = random(arena, dtype, shape.inputShape());
      Tensor dy = random(arena, dtype, shape.outputShape());
      double flops = 2.0 * dy.count() * in * 9;
      double bytes = bytes(List.of(x, dy, weight.weight()));
      String op = "Convolution " + shape;
      user.accept(
          new Work(
              op,
              "forward",
              flops,
              bytes,
              1,
              true,
              () -> by.forward(arena, shape, x, weight, null).release()));
      user.accept(
          new Work(
              op,
              "data",
              flops,
              bytes,
              1,
              true,
              () -> by.backward(arena, shape, dy, weight).release()));
      user.accept(
          new Work(
              op,
              "filter",
              flops,
              bytes,
              1,
              true,
              () -> {
                group.zeroGradients();
                by.gather(arena, shape, x, dy, weight);
              }));
    }
  }

  /**
   * Every engine that takes the attentions of each level, to their own tokens and to a prompt's.
   */
  public void attentions() {
    int latent = side / 8;
    for (int level = 0, channels = 320;
        level < 4;
        level++, channels = Math.min(1280, 2 * channels)) {
      long tokens = (long) (latent >> level) * (latent >> level);
      for (long keys : new long[] {tokens, PROMPT_TOKENS}) {
        Sizes sizes = new Sizes(dtype, rows, HEADS, tokens, keys, channels / HEADS, false);
        Arrays.stream(AttentionEngine.values())
            .filter(each -> each.takes(sizes))
            .forEach(each -> attention(each, sizes));
      }
    }
  }

  private void attention(AttentionEngine engine, Sizes sizes) {
    try (Arena arena = Arena.open("attention", OpBackend.on(device))) {
      long width = sizes.heads() * sizes.width();
      Tensor q = random(arena, dtype, rows, sizes.queries(), width);
      Tensor dy = random(arena, dtype, rows, sizes.queries(), width);
      Tensor k = random(arena, dtype, rows, sizes.keys(), width);
      Tensor v = random(arena, dtype, rows, sizes.keys(), width);
      double flops = 4.0 * rows * sizes.queries() * sizes.keys() * width;
      double bytes = bytes(List.of(q, k, v, dy));
      for (boolean back : new boolean[] {false, true}) {
        user.accept(
            new Work(
                engine + " " + sizes,
                back ? "forwardBackward" : "forward",
                back ? 3.5 * flops : flops, // back: four products, and one of there again
                back ? 3 * bytes : bytes,
                1,
                true,
                () -> Native.run("attention", () -> attend(engine, q, k, v, dy, back))));
      }
    }
  }

  private static void attend(
      AttentionEngine engine, Tensor q, Tensor k, Tensor v, Tensor dy, boolean back) {
    Qkv qkv = Qkv.ofTokens(q.handle(), k.handle(), v.handle(), HEADS, false);
    var out = engine.forward(Boxed::call, qkv);
    if (back) {
      engine.backward(Boxed::call, qkv, out, Qkv.split(dy.handle(), HEADS));
    }
  }

  /** Each optimizer over a flat buffer, clipped to a norm; ours writes the copy too. */
  public void optimizers() {
    long count = device == Device.CUDA ? 1L << 27 : 1L << 18;
    for (String name : UpdateRules.names()) {
      for (boolean in8Bits : new boolean[] {false, true}) {
        try (Arena arena = Arena.open("optimizer", OpBackend.on(device))) {
          Parameters group = new Parameters(dtype);
          Parameter weight = group.declare("w", count);
          group.allocate(arena, true);
          Native.run("random", () -> group.gradients().handle().normal_());
          UpdateRule rule =
              UpdateRules.named(name, new UpdateRule.Constants(0.9, 0.999, 1e-8, 1e-2));
          Optimizer optimizer =
              KernelOptimizer.orPlain(
                  arena,
                  rule,
                  Optimizer.Group.alike(List.of(group)),
                  new Optimizer.Options(1, in8Bits, 0));
          double moments = rule.moments().size() * (in8Bits ? 1 : 4);
          // The norm reads gradients once more; the copy in 16 bits is written.
          double each = 2 * dtype.bytes() + 2 * 4 + 2 * moments;
          each += dtype.isHalf() ? dtype.bytes() : 0;
          Tensor rate = arena.floats("rate", new float[] {1e-6f}, 1);
          Tensor scale = arena.floats("scale", new float[] {1}, 1);
          Tensor norm = arena.zeros("norm", DType.F32, 1);
          user.accept(
              new Work(
                  name + " " + count + (in8Bits ? " in 8 bits" : ""),
                  "step",
                  0,
                  count * each,
                  1,
                  Kernels.of(arena) != null,
                  () -> {
                    weight.accumulateBy((slice, add) -> {}); // as if a backward had replaced it
                    optimizer.update(rate, scale, norm);
                  }));
        }
      }
    }
  }
}
