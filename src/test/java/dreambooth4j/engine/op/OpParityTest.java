package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Chosen;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.InferenceMode;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every op against libtorch's autograd in all float types, by the rule of {@link Closeness}, and
 * against finite differences in F64. {@code -Dop=group_norm} runs the cases of one op.
 */
class OpParityTest {
  static List<OpCase> cases() {
    return Chosen.among(OpCases.all());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInF32(OpCase op) {
    agreesWithAutograd(op, DType.F32);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInF64(OpCase op) {
    agreesWithAutograd(op, DType.F64);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInBf16(OpCase op) {
    agreesWithAutograd(op, DType.BF16);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInF16(OpCase op) {
    agreesWithAutograd(op, DType.F16);
  }

  /** In one draw of few numbers chance makes the plain op's error as small as it likes. */
  private static final int FEW_NUMBERS = 1024;

  private static final int DRAWS_OF_FEW = 12;

  private static void agreesWithAutograd(OpCase op, DType dtype) {
    List<List<@Nullable Closeness>> draws = new ArrayList<>();
    draws.add(drawn(op, dtype, 0));
    while (op.given() < FEW_NUMBERS && draws.size() < DRAWS_OF_FEW) {
      draws.add(drawn(op, dtype, draws.size()));
    }
    for (int i = 0; i < draws.get(0).size(); i++) {
      int at = i;
      List<Closeness> all =
          draws.stream().map(each -> each.get(at)).filter(Objects::nonNull).toList();
      if (!all.isEmpty()) {
        hold(op, dtype, Closeness.over(all));
      }
    }
  }

  /** Of the output and each gradient; null of what has no gradient. */
  private static List<@Nullable Closeness> drawn(OpCase op, DType dtype, int draw) {
    try (Arena arena = Arena.open("test")) {
      OpCase.Filled filled = op.fill(arena, dtype, 7 + draw);
      List<@Nullable Tensor> ours = new ArrayList<>();
      Tensor cotangent;
      try (Tape tape = Tape.recording(arena)) {
        List<Var> inputs = filled.inputs().stream().map(tape::input).toList();
        Var output = op.ours().apply(tape, inputs, filled.parameters().all());
        Tensor y = output.value().retain();
        ours.add(y);
        cotangent = OpCase.random(arena, dtype, new SplittableRandom(11 + draw), y.shape());
        tape.backward(output, cotangent);
        for (Var each : inputs) {
          ours.add(each.gradient() == null ? null : each.gradient().retain());
        }
      }
      for (Parameter each : filled.parameters().all()) {
        ours.add(each.gradient());
      }
      return compared(op, dtype, filled, cotangent, ours);
    }
  }

  private static List<@Nullable Closeness> compared(
      OpCase op, DType dtype, OpCase.Filled filled, Tensor cotangent, List<@Nullable Tensor> ours) {
    try (PointerScope scope = new PointerScope();
        InferenceMode off = new InferenceMode(false);
        AutoGradMode on = new AutoGradMode(true)) {
      var exact = autograd(op, filled, cotangent, DType.F64);
      var plain = autograd(op, filled, cotangent, dtype);
      List<@Nullable Closeness> all = new ArrayList<>();
      for (int i = 0; i < exact.size(); i++) {
        String what = "%s %s".formatted(op, i == 0 ? "output" : "gradient " + (i - 1));
        Tensor our = ours.get(i);
        if (!exact.get(i).defined()) {
          assertThat(our).as(what).isNull();
          all.add(null);
          continue;
        }
        assertThat(our).as(what).isNotNull();
        assertThat(our.count()).as(what).isEqualTo(exact.get(i).numel());
        all.add(Closeness.of(what, our.handle(), plain.get(i), exact.get(i)));
      }
      return all;
    }
  }

  /** The output by libtorch's autograd in a type, and the gradients of inputs and parameters. */
  private static List<org.bytedeco.pytorch.Tensor> autograd(
      OpCase op, OpCase.Filled filled, Tensor cotangent, DType dtype) {
    var leaves =
        Stream.concat(
                filled.inputs().stream(), filled.parameters().all().stream().map(Parameter::weight))
            .map(each -> wide(each, dtype).detach().requires_grad_(true))
            .toList();
    var y = op.reference().apply(leaves);
    y.mul(wide(cotangent, dtype)).sum().backward();
    return Stream.concat(Stream.of(y), leaves.stream().map(each -> each.grad())).toList();
  }

  /** A copy that autograd may follow. */
  private static org.bytedeco.pytorch.Tensor wide(Tensor values, DType dtype) {
    return values.handle().to(Native.scalarType(dtype)).clone();
  }

  private static void hold(OpCase op, DType dtype, Closeness closeness) {
    if (dtype == DType.F64) {
      // Nothing is more exact, so both orders of the same sums round: a thousand terms' worth.
      assertThat(closeness.ours()).as(closeness.what()).isLessThanOrEqualTo(3e-12);
    } else if (op.op() == RowLoss.class) {
      // Three sums and a difference, each rounded once: the loss itself is read in F32.
      closeness.holds(2, 4 * Closeness.rounding(dtype));
    } else {
      closeness.holds(timesThePlainError(op), Closeness.rounding(DType.F32));
    }
  }

  /** The rule's twice, and the ops that round more than libtorch's, with the reason. */
  private static double timesThePlainError(OpCase op) {
    if (op.op() == Conv2d.class) {
      // Winograd's transforms add and subtract before they multiply, and of a product of patches
      // each patch's gradient is rounded before those of a pixel are added.
      return 3;
    }
    return 2;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithFiniteDifferences(OpCase op) {
    double step = 1e-5;
    try (Arena arena = Arena.open("test")) {
      OpCase.Filled filled = op.fill(arena, DType.F64, 23);
      List<Tensor> leaves = new ArrayList<>(filled.inputs());
      List<@Nullable Tensor> gradients = new ArrayList<>();
      Tensor cotangent;
      try (Tape tape = Tape.recording(arena)) {
        List<Var> inputs = filled.inputs().stream().map(tape::input).toList();
        Var output = op.ours().apply(tape, inputs, filled.parameters().all());
        cotangent =
            OpCase.random(arena, DType.F64, new SplittableRandom(5), output.value().shape());
        tape.backward(output, cotangent);
        for (Var each : inputs) {
          gradients.add(each.gradient() == null ? null : each.gradient().retain());
        }
      }
      for (Parameter each : filled.parameters().all()) {
        leaves.add(each.weight());
        gradients.add(each.gradient());
      }
      SplittableRandom pick = new SplittableRandom(3);
      for (int i = 0; i < leaves.size(); i++) {
        Tensor gradient = gradients.get(i);
        for (int trial = 0; gradient != null && trial < 8; trial++) {
          int element = pick.nextInt((int) leaves.get(i).count());
          double slope =
              (lossAt(arena, op, filled, cotangent, leaves.get(i), element, step)
                      - lossAt(arena, op, filled, cotangent, leaves.get(i), element, -step))
                  / (2 * step);
          double ours = gradient.bytes(0, (int) gradient.count() * 8).asDoubleBuffer().get(element);
          assertThat(ours)
              .as(op + " leaf " + i + " element " + element)
              .isCloseTo(slope, org.assertj.core.data.Offset.offset(1e-6 * (1 + Math.abs(slope))));
        }
      }
    }
  }

  private static double lossAt(
      Arena arena,
      OpCase op,
      OpCase.Filled filled,
      Tensor cotangent,
      Tensor leaf,
      int element,
      double change) {
    var numbers = leaf.bytes(0, (int) leaf.count() * 8).asDoubleBuffer();
    double before = numbers.get(element);
    numbers.put(element, before + change);
    try (Tape tape = Tape.inference(arena);
        PointerScope scope = new PointerScope()) {
      Var y =
          op.ours()
              .apply(
                  tape,
                  filled.inputs().stream().map(tape::input).toList(),
                  filled.parameters().all());
      return y.handle().mul(cotangent.handle()).sum().item().toDouble();
    } finally {
      numbers.put(element, before);
    }
  }

  @Test
  void shouldHaveACaseForEveryOp() {
    Set<String> ops =
        new ClassFileImporter()
            .importPackages("dreambooth4j.engine.op").stream()
                .filter(
                    c ->
                        c.getMethods().stream()
                            .anyMatch(
                                m ->
                                    m.getName().equals("apply")
                                        && m.getRawReturnType().isEquivalentTo(Var.class)))
                .filter(c -> !c.isInterface())
                .map(JavaClass::getSimpleName)
                .collect(Collectors.toSet());
    assertThat(ops).hasSizeGreaterThan(10);
    assertThat(OpCases.all().stream().map(c -> c.op().getSimpleName()).collect(Collectors.toSet()))
        .containsAll(ops);
  }
}
