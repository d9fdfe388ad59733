package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * One op on one set of sizes: what the parity test holds against libtorch's autograd, what the
 * finite-difference test perturbs, and what a bench can time. {@link OpCases} lists them all.
 *
 * @param op the class that is tested
 * @param vars the sizes in words, for the test's name
 * @param inputs shapes of the inputs, as the op takes them
 * @param parameters shapes of the parameters, as files hold them
 * @param ours the op
 * @param reference the same by libtorch's differentiable functions, on tensors in our layouts:
 *     inputs, then parameters as they lie in memory
 * @param flops floating-point operations of the forward pass, a multiplication and an addition
 *     being two; 0 where memory alone decides
 */
public record OpCase(
    Class<?> op,
    String vars,
    List<long[]> inputs,
    List<long[]> parameters,
    Ours ours,
    Reference reference,
    double flops) {

  /** Our op on a tape. */
  public interface Ours {
    Var apply(Tape tape, List<Var> inputs, List<Parameter> parameters);
  }

  /** libtorch's version. */
  public interface Reference {
    org.bytedeco.pytorch.Tensor apply(List<org.bytedeco.pytorch.Tensor> tensors);
  }

  public static OpCase of(
      Class<?> op, String vars, Ours ours, Reference reference, long[]... inputs) {
    return new OpCase(op, vars, List.of(inputs), List.of(), ours, reference, 0);
  }

  public OpCase with(long[]... parameterShapes) {
    return new OpCase(op, vars, inputs, List.of(parameterShapes), ours, reference, flops);
  }

  OpCase costing(double forwardFlops) {
    return new OpCase(op, vars, inputs, parameters, ours, reference, forwardFlops);
  }

  /** Numbers that a forward pass reads and writes, each once: inputs, parameters and result. */
  double forwardNumbers(long[] result) {
    return given() + Tensor.count(result);
  }

  /**
   * Numbers that the backward pass reads and writes, each once: the result's gradient, those of
   * inputs and parameters, and inputs and parameters where these gradients depend on them.
   */
  double backwardNumbers(long[] result) {
    if (op == Add.class) {
      return 0; // the gradient is handed on
    }
    double read = Tensor.count(result);
    if (op == AddPerSample.class) {
      return read + Tensor.count(inputs.get(1)); // to the picture it is handed on
    }
    boolean rearranges = op == Concat.class || op == UpsampleNearest.class;
    return read + (rearranges ? 1 : 2) * given();
  }

  /** Numbers of all inputs and parameters. */
  double given() {
    double numbers = 0;
    for (long[] shape : inputs) {
      numbers += Tensor.count(shape);
    }
    for (long[] shape : parameters) {
      numbers += Tensor.count(shape);
    }
    return numbers;
  }

  /** The case's tensors, filled with fresh numbers of one seed. */
  public record Filled(List<Tensor> inputs, Parameters parameters) {
    /** Runs our op, and back from a cotangent if one is given. */
    public Var run(Arena arena, OpCase of, Tape tape) {
      List<Var> vars = new ArrayList<>();
      for (Tensor each : inputs) {
        vars.add(tape.input(each));
      }
      return of.ours.apply(tape, vars, parameters.all());
    }
  }

  public Filled fill(Arena arena, DType dtype, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Tensor> tensors = new ArrayList<>();
    for (long[] shape : inputs) {
      tensors.add(random(arena, dtype, random, shape));
    }
    Parameters made = new Parameters(dtype);
    for (int i = 0; i < parameters.size(); i++) {
      made.declare("p" + i, parameters.get(i));
    }
    made.allocate(arena, true);
    for (Parameter each : made.all()) {
      each.weight().copyFrom(random(arena, dtype, random, each.shape()));
    }
    return new Filled(tensors, made);
  }

  public static Tensor random(Arena arena, DType dtype, SplittableRandom random, long... shape) {
    double[] values = random.doubles(Tensor.count(shape), -1.5, 1.5).toArray();
    Tensor doubles = arena.allocate("random", DType.F64, shape);
    doubles.copyFrom(values);
    Tensor tensor = arena.allocate("random", dtype, shape);
    tensor.copyFrom(doubles);
    doubles.release();
    return tensor;
  }

  @Override
  public String toString() {
    return op.getSimpleName() + " " + vars;
  }
}
