package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * Records a forward and walks it back. An op hands over its output, the tensors that it keeps and
 * its backward; the walk calls these in reverse and releases what they kept as it goes. On an
 * inference tape nothing is kept.
 *
 * <p>Values are freed by the block that made them: {@link #block} frees everything made inside it
 * but its result, save what an op kept. A model wraps each of its blocks in one, and so holds only
 * one block's intermediate values at a time, recording or not.
 *
 * <p>A tape that checkpoints (Chen et al. 2016) keeps nothing of a {@link #checkpoint} block but
 * its inputs, and runs the block again when the walk comes to it. The same ops in the same order
 * give the same bits.
 */
public final class Tape implements AutoCloseable {
  /** The backward of an op: takes d(loss)/d(output), which it does not own, to its inputs. */
  @FunctionalInterface
  public interface Backward {
    /** Passes the gradient on; {@code dy} has the output's shape and is the tape's. */
    void accept(Tensor dy);
  }

  /**
   * How a walk back needs less memory.
   *
   * @param checkpointing whether checkpoints are run again rather than kept
   * @param afterEach is called after each op's backward, when the gradients of its parameters are
   *     final: a model uses each parameter in one op
   */
  public record Saving(boolean checkpointing, Runnable afterEach) {
    /** All is kept, and nobody is told. */
    public static final Saving NONE = new Saving(false, () -> {});
  }

  private record Step(String op, Var output, List<Tensor> kept, Backward backward) {}

  /** The part of a memory plan that backward makes. */
  public static final String BACKWARD = "backward";

  private final Arena arena;
  private final boolean recording;
  private final boolean checked;
  private final Saving saving;
  private final Deque<List<Var>> blocks = new ArrayDeque<>();
  private final List<Step> steps = new ArrayList<>();
  private final List<Var> inputs = new ArrayList<>();
  private int ops;

  /** Whether a checkpoint is being run, for the first time or again. */
  private boolean inCheckpoint;

  /** Whether ops are run without being recorded: in a checkpoint's first run. */
  private boolean paused;

  private Tape(Arena arena, boolean recording, boolean checked, Saving saving) {
    this.arena = arena;
    this.recording = recording;
    this.checked = checked;
    this.saving = saving;
    blocks.push(new ArrayList<>());
  }

  /** A tape that can walk back. What it makes is the arena's. */
  public static Tape recording(Arena arena) {
    return recording(arena, Saving.NONE);
  }

  /** As {@link #recording(Arena)}, with less memory. */
  public static Tape recording(Arena arena, Saving saving) {
    return new Tape(arena, true, false, saving);
  }

  /** A tape that only goes forward. */
  public static Tape inference(Arena arena) {
    return new Tape(arena, false, false, Saving.NONE);
  }

  /**
   * An inference tape that stops at the first op whose output is not finite, with a {@link
   * Problem}.
   */
  public static Tape checked(Arena arena) {
    return new Tape(arena, false, true, Saving.NONE);
  }

  /** Where values and gradients are allocated. */
  public Arena arena() {
    return arena;
  }

  /** Whether it can walk back, as in training. */
  public boolean isRecording() {
    return recording;
  }

  /** Names the part of a model that comes next, for {@link Arena#meter}. */
  public void part(String name) {
    arena.meter().part(name);
  }

  /** A value from outside, which its owner keeps holding; no gradient reaches it. */
  public Var constant(Tensor value) {
    return new Var(this, value, false);
  }

  /** A value from outside, which its owner keeps holding, whose gradient is wanted. */
  public Var input(Tensor value) {
    Var input = new Var(this, value, recording);
    inputs.add(input);
    return input;
  }

  /** An op's output that no gradient leaves; the tape takes {@code y} over. */
  public Var constantOf(String op, Tensor y) {
    return own(op, new Var(this, y, false));
  }

  /**
   * An op's output. The tape takes {@code y} over and holds {@code kept} until the walk has passed.
   *
   * @param reaches whether an input or a parameter of the op needs a gradient
   */
  public Var record(String op, Tensor y, boolean reaches, List<Tensor> kept, Backward backward) {
    Var output = own(op, new Var(this, y, recording && reaches));
    if (output.needsGradient() && !paused) {
      keep(op, output, kept, backward);
    }
    return output;
  }

  private void keep(String op, Var output, List<Tensor> kept, Backward backward) {
    for (Tensor each : kept) {
      each.retain();
    }
    steps.add(new Step(op, output, kept, backward));
  }

  private Var own(String op, Var output) {
    if (checked && output.value().dtype().isFloat() && !output.value().isFinite()) {
      throw new Problem(
          Problem.Kind.DIVERGED,
          "the output of op %d, %s %s, is not finite".formatted(ops, op, output.value()));
    }
    ops++;
    innermost().add(output);
    return output;
  }

  private List<Var> innermost() {
    List<Var> block = blocks.peek();
    if (block == null) {
      throw new IllegalStateException("the tape is closed");
    }
    return block;
  }

  /** Runs a part of a model and frees what it made but its result and what its ops kept. */
  public Var block(Supplier<Var> body) {
    blocks.push(new ArrayList<>());
    Var result = body.get();
    for (Var made : blocks.pop()) {
      if (made == result) {
        innermost().add(made);
      } else {
        made.value().release();
      }
    }
    return result;
  }

  /** Parts of a model one after the other: what one makes is freed once the next has read it. */
  public Var chain(Var x, List<UnaryOperator<Var>> parts) {
    int last = parts.size() - 1;
    return last < 0 ? x : block(() -> parts.get(last).apply(chain(x, parts.subList(0, last))));
  }

  /**
   * A block that can be run again from its inputs alone. Where the tape checkpoints, that is what
   * backward does, and the inputs are all that is kept until then. Checkpoints within a checkpoint
   * are blocks like any other.
   *
   * @param inputs every value from outside that {@code body} reads
   * @param body reads nothing that changes, and gives the same each time
   */
  public Var checkpoint(List<Var> inputs, Supplier<Var> body) {
    if (!saving.checkpointing || !recording || inCheckpoint) {
      return block(body);
    }
    inCheckpoint = true;
    paused = true;
    Var result = block(body);
    paused = false;
    inCheckpoint = false;
    if (result.needsGradient()) {
      List<Tensor> kept = inputs.stream().map(Var::value).toList();
      keep("checkpoint", result, kept, dy -> again(body, dy));
    }
    return result;
  }

  /** Runs a checkpoint's body once more, recorded, and walks it back. */
  private void again(Supplier<Var> body, Tensor dy) {
    int first = steps.size();
    List<Var> made = new ArrayList<>();
    blocks.push(made);
    inCheckpoint = true;
    Var result = body.get();
    inCheckpoint = false;
    blocks.pop();
    result.accumulate(dy.retain());
    made.forEach(each -> each.value().release());
    walk(first);
  }

  /**
   * Walks back from {@code output}, whose gradient is {@code seed} (same shape; the caller keeps
   * it). Parameters gather their gradients in their slices, inputs in {@link Var#gradient}. A tape
   * is walked once.
   */
  public void backward(Var output, Tensor seed) {
    arena.meter().part(BACKWARD);
    output.accumulate(seed.retain());
    walk(0);
  }

  /** As {@link #backward(Var, Tensor)} from a loss: its gradient is 1. */
  public void backward(Var loss) {
    Tensor one = arena.allocate("1", loss.value().dtype(), loss.value().shape());
    one.fill_(1);
    backward(loss, one);
    one.release();
  }

  /** Walks back to the step {@code first}, that one included. */
  private void walk(int first) {
    for (int i = steps.size() - 1; i >= first; i--) {
      Step step = steps.remove(i);
      Tensor dy = step.output.takeGradient();
      if (dy != null) {
        step.backward.accept(dy);
        dy.release();
        saving.afterEach.run();
      }
      for (Tensor each : step.kept) {
        each.release();
      }
    }
  }

  /** Releases all that it still holds. */
  @Override
  public void close() {
    for (Step step : steps) {
      for (Tensor each : step.kept) {
        each.release();
      }
    }
    steps.clear();
    for (Var input : inputs) {
      Tensor gradient = input.takeGradient();
      if (gradient != null) {
        gradient.release();
      }
    }
    inputs.clear();
    while (!blocks.isEmpty()) {
      for (Var made : blocks.pop()) {
        made.value().release();
      }
    }
  }
}
