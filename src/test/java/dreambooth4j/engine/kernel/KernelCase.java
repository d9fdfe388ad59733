package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.OpCase;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A kernel in place of one op on one set of sizes: its numbers beside those of the plain op in the
 * same storage type, both held against the plain op in F64 on the same inputs.
 *
 * @param op the op and the sizes
 * @param least how far it may be off whatever the plain op is, relatively
 * @param kernel the kernel's way, forward and back
 */
public record KernelCase(OpCase op, DType dtype, double least, Kernel kernel)
    implements KernelCheck {
  /** Of a kernel that may err by one rounding to F32. */
  KernelCase(OpCase op, DType dtype, Kernel kernel) {
    this(op, dtype, Closeness.rounding(DType.F32), kernel);
  }

  /** Runs a kernel: the output, the inputs' gradients, the parameters' gradients. */
  interface Kernel {
    List<Tensor> run(
        Launcher device, Memory memory, List<Tensor> inputs, List<Tensor> parameters, Tensor dy);
  }

  /** Runs it and holds it to the rule. */
  @Override
  public void on(Launcher device, Memory memory) {
    errors(run(device, memory), memory).forEach(each -> each.holds(2, least));
  }

  /** The kernel's results, on the CPU. */
  private List<Tensor> run(Launcher device, Memory memory) {
    Arena arena = memory.arena();
    OpCase.Filled filled = op.fill(arena, dtype, 7);
    Tensor dy = cotangent(arena, filled);
    List<Tensor> results =
        kernel.run(
            device,
            memory,
            filled.inputs().stream().map(memory::copy).toList(),
            filled.parameters().all().stream().map(p -> memory.copy(p.weight())).toList(),
            memory.copy(dy));
    return results.stream().map(memory::back).toList();
  }

  /** How far the kernel's results and the plain op's are from F64. */
  private List<Closeness> errors(List<Tensor> ours, Memory memory) {
    Arena arena = memory.arena();
    OpCase.Filled low = op.fill(arena, dtype, 7);
    OpCase.Filled high = op.fill(arena, DType.F64, 7);
    copy(low.inputs(), high.inputs());
    copy(weights(low), weights(high));
    Tensor dy = cotangent(arena, low);
    Tensor exactDy = arena.allocate("dy", DType.F64, dy.shape());
    exactDy.copyFrom(dy);
    List<Tensor> plain = plain(arena, low, dy);
    List<Tensor> exact = plain(arena, high, exactDy);
    if (ours.size() != exact.size()) {
      throw new IllegalStateException(ours.size() + " results, not " + exact.size());
    }
    List<Closeness> errors = new ArrayList<>();
    for (int i = 0; i < exact.size(); i++) {
      errors.add(
          Closeness.of(
              i == 0 ? "output" : "gradient " + (i - 1), ours.get(i), plain.get(i), exact.get(i)));
    }
    return errors;
  }

  private Tensor cotangent(Arena arena, OpCase.Filled filled) {
    try (Tape tape = Tape.inference(arena)) {
      return OpCase.random(
          arena, dtype, new SplittableRandom(11), filled.run(arena, op, tape).value().shape());
    }
  }

  private static List<Tensor> weights(OpCase.Filled filled) {
    return filled.parameters().all().stream().map(Parameter::weight).toList();
  }

  private static void copy(List<Tensor> from, List<Tensor> to) {
    for (int i = 0; i < from.size(); i++) {
      to.get(i).copyFrom(from.get(i));
    }
  }

  private List<Tensor> plain(Arena arena, OpCase.Filled filled, Tensor dy) {
    List<Tensor> results = new ArrayList<>();
    try (Tape tape = Tape.recording(arena)) {
      List<Var> inputs = filled.inputs().stream().map(tape::input).toList();
      Var y = op.ours().apply(tape, inputs, filled.parameters().all());
      results.add(y.value().retain());
      tape.backward(y, dy.retain());
      for (Var each : inputs) {
        Tensor gradient = each.gradient();
        if (gradient != null) {
          results.add(gradient.retain());
        }
      }
    }
    for (Parameter each : filled.parameters().all()) {
      results.add(each.gradient());
    }
    return results;
  }

  @Override
  public String toString() {
    return op + " " + dtype;
  }
}
