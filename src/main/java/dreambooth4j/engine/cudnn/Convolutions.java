package dreambooth4j.engine.cudnn;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.cudnn.Convolution.Direction;
import dreambooth4j.engine.kernel.Autotuner;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.engine.kernel.DeviceTimer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Convolutions of one tree of arenas on CUDA: for each shape and direction the fastest algorithm of
 * those that give the same bits each time and want no more than {@link
 * ConvolutionLibrary#WORKSPACE_BYTES} bytes of workspace, found by {@link Autotuner}. The workspace
 * is the arena's, for as long as the call takes. Gradients of weights are written or added straight
 * into their slices.
 *
 * <p><b>What calls cuDNN has not run on a GPU yet.</b>
 */
public final class Convolutions {
  private record Planned(Convolution shape, Direction direction) {}

  private record Plan(int algorithm, long workspaceBytes) {}

  private final ConvolutionLibrary library;
  private final @Nullable Autotuner autotuner;
  private final Device timed;
  private final Map<Planned, @Nullable Plan> plans = new HashMap<>();
  private final Map<Planned, List<IllegalStateException>> refusals = new HashMap<>();

  /**
   * Convolutions by this library.
   *
   * @param autotuner what finds the fastest algorithm; for null the first is taken
   * @param timed the device whose time counts
   */
  Convolutions(ConvolutionLibrary library, @Nullable Autotuner autotuner, Device timed) {
    this.library = library;
    this.autotuner = autotuner;
    this.timed = timed;
  }

  /** By cuDNN on the current CUDA device. */
  public static Convolutions byCudnn() {
    return new Convolutions(new CudnnLibrary(), Autotuner.ofUser("convolution"), Device.CUDA);
  }

  /** Of dry tensors, which counts the largest workspace. */
  public static Convolutions dry() {
    return new Convolutions(new DryLibrary(), null, Device.CPU);
  }

  /**
   * Whether this convolution is computed here, with plans for all directions that it will need;
   * else libtorch must do it.
   *
   * @param dx whether the images need a gradient
   * @param dw whether the weight does
   */
  public boolean take(Arena arena, Convolution shape, boolean dx, boolean dw) {
    return shape.dtype() != DType.F64
        && plan(arena, shape, Direction.FORWARD) != null
        && (!dx || plan(arena, shape, Direction.DATA) != null)
        && (!dw || plan(arena, shape, Direction.FILTER) != null);
  }

  /**
   * Why {@link #take} left a convolution to libtorch: what was said of each algorithm, suppressed.
   */
  IllegalStateException refusal(Convolution shape) {
    IllegalStateException all = new IllegalStateException("no plan for " + shape);
    for (Direction each : Direction.values()) {
      if (plans.get(new Planned(shape, each)) == null) {
        refusals.getOrDefault(new Planned(shape, each), List.of()).forEach(all::addSuppressed);
      }
    }
    return all;
  }

  /** y [B, H', W', O] of images x and a weight, with its bias if any; the caller holds it. */
  public Tensor forward(
      Arena arena, Convolution shape, Tensor x, Parameter weight, @Nullable Parameter bias) {
    Tensor y = arena.allocate("conv2d", shape.dtype(), shape.outputShape());
    run(arena, shape, Direction.FORWARD, x, weight.weight(), y, false);
    if (bias != null) {
      Native.run("conv2d.bias", () -> y.handle().add_(bias.weight().handle()));
    }
    return y;
  }

  /** dx, as x; the caller holds it. */
  public Tensor backward(Arena arena, Convolution shape, Tensor dy, Parameter weight) {
    Tensor dx = arena.allocate("conv2d.dx", shape.dtype(), shape.inputShape());
    run(arena, shape, Direction.DATA, dy, weight.weight(), dx, false);
    return dx;
  }

  /** Gathers the gradient of a weight in its slice. */
  public void gather(Arena arena, Convolution shape, Tensor x, Tensor dy, Parameter weight) {
    weight.accumulateBy((slice, add) -> run(arena, shape, Direction.FILTER, x, dy, slice, add));
  }

  private void run(
      Arena arena,
      Convolution shape,
      Direction direction,
      Tensor first,
      Tensor second,
      Tensor result,
      boolean add) {
    Plan plan = plan(arena, shape, direction);
    if (plan == null) {
      throw new IllegalStateException("no plan for " + shape.key(direction));
    }
    run(arena, shape, direction, plan, first, second, result, add);
  }

  private void run(
      Arena arena,
      Convolution shape,
      Direction direction,
      Plan plan,
      Tensor first,
      Tensor second,
      Tensor result,
      boolean add) {
    Tensor workspace =
        plan.workspaceBytes == 0
            ? null
            : arena.allocate("conv2d workspace", DType.U8, plan.workspaceBytes);
    library.run(shape, direction, plan.algorithm, first, second, result, add, workspace);
    if (workspace != null) {
      workspace.release(); // the allocator gives it only to what comes later on the stream
    }
  }

  /** The fastest plan; null where no algorithm can do it. */
  private @Nullable Plan plan(Arena arena, Convolution shape, Direction direction) {
    Planned key = new Planned(shape, direction);
    if (!plans.containsKey(key)) {
      plans.put(key, chosen(arena, shape, direction));
    }
    return plans.get(key);
  }

  private @Nullable Plan chosen(Arena arena, Convolution shape, Direction direction) {
    Map<String, Plan> possible = new LinkedHashMap<>();
    List<IllegalStateException> refused =
        refusals.computeIfAbsent(new Planned(shape, direction), each -> new ArrayList<>());
    for (int algorithm : library.algorithms(direction)) {
      try {
        long bytes = library.workspaceBytes(shape, direction, algorithm);
        if (bytes <= ConvolutionLibrary.WORKSPACE_BYTES) {
          possible.put("algorithm " + algorithm, new Plan(algorithm, bytes));
        } else {
          refused.add(
              new IllegalStateException("not supported: a workspace of %d bytes".formatted(bytes)));
        }
      } catch (IllegalStateException e) {
        refused.add(e); // not for this shape
      }
    }
    if (possible.isEmpty() || autotuner == null) {
      return possible.values().stream().findFirst().orElse(null);
    }
    try (Arena scratch = arena.child("conv2d trial")) {
      Tensor x = noise(scratch, shape, shape.inputShape());
      Tensor y = noise(scratch, shape, shape.outputShape());
      Tensor w = noise(scratch, shape, shape.filterShape());
      Tensor first = direction == Direction.DATA ? y : x;
      Tensor second = direction == Direction.FILTER ? y : w;
      Tensor result =
          switch (direction) {
            case FORWARD -> y;
            case DATA -> x;
            case FILTER -> w;
          };
      List<Autotuner.Candidate> candidates = new ArrayList<>();
      possible.forEach(
          (name, plan) -> {
            Runnable call =
                () -> run(scratch, shape, direction, plan, first, second, result, false);
            if (works(call, refused)) {
              candidates.add(new Autotuner.Candidate(name, () -> DeviceTimer.ofCall(timed, call)));
            }
          });
      return possible.get(autotuner.choose(shape.key(direction), candidates));
    } catch (IllegalStateException e) {
      return null; // none can do it
    }
  }

  /** Of zeros a GPU multiplies faster than of numbers. */
  private static Tensor noise(Arena arena, Convolution shape, long[] sizes) {
    Tensor made = arena.allocate("trial", shape.dtype(), sizes);
    Native.run("trial", () -> made.handle().normal_());
    return made;
  }

  /** That a library knows an algorithm's workspace does not mean that it has it for the shape. */
  private boolean works(Runnable call, List<IllegalStateException> refused) {
    try {
      call.run();
      if (timed == Device.CUDA) {
        CudaDevice.await();
      }
      return true;
    } catch (IllegalStateException e) {
      refused.add(e);
      return false;
    }
  }
}
