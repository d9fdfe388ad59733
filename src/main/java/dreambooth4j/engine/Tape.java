package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Supplier;

/**
 * Records a forward and walks it back. An op hands over its output, the tensors that it keeps and
 * how it goes back; the walk calls these in reverse and releases what they kept as it goes. On an
 * inference tape nothing is kept.
 *
 * <p>Values are freed by the block that made them: {@link #block} frees everything made inside it
 * but its result, save what an op kept. A model wraps each of its blocks in one, and so holds only
 * one block's intermediate values at a time, recording or not.
 */
public final class Tape implements AutoCloseable {
  /** How an op goes back: takes d(loss)/d(output), which it does not own, to its inputs. */
  @FunctionalInterface
  public interface Backward {
    /** Passes the gradient on; {@code dy} has the output's shape and is the tape's. */
    void accept(Tensor dy);
  }

  private record Step(String op, Var output, List<Tensor> kept, Backward backward) {}

  private final Arena arena;
  private final boolean recording;
  private final boolean checked;
  private final Deque<List<Var>> blocks = new ArrayDeque<>();
  private final List<Step> steps = new ArrayList<>();
  private final List<Var> inputs = new ArrayList<>();
  private int ops;

  private Tape(Arena arena, boolean recording, boolean checked) {
    this.arena = arena;
    this.recording = recording;
    this.checked = checked;
    blocks.push(new ArrayList<>());
  }

  /** A tape that can walk back. What it makes is the arena's. */
  public static Tape recording(Arena arena) {
    return new Tape(arena, true, false);
  }

  /** A tape that only goes forward. */
  public static Tape inference(Arena arena) {
    return new Tape(arena, false, false);
  }

  /**
   * An inference tape that stops at the first op whose output is not finite, with a {@link
   * Problem}.
   */
  public static Tape checked(Arena arena) {
    return new Tape(arena, false, true);
  }

  /** Where values and gradients are allocated. */
  public Arena arena() {
    return arena;
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
    if (output.needsGradient()) {
      for (Tensor each : kept) {
        each.retain();
      }
      steps.add(new Step(op, output, kept, backward));
    }
    return output;
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

  /**
   * Walks back from {@code output}, whose gradient is {@code seed} (same shape; the caller keeps
   * it). Parameters gather their gradients in their slices, inputs in {@link Var#gradient}. A tape
   * is walked once.
   */
  public void backward(Var output, Tensor seed) {
    output.accumulate(seed.retain());
    for (int i = steps.size() - 1; i >= 0; i--) {
      Step step = steps.remove(i);
      Tensor dy = step.output.takeGradient();
      if (dy != null) {
        step.backward.accept(dy);
        dy.release();
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
