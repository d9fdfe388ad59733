package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every op against libtorch's autograd in all float types, and against finite differences in F64.
 */
class OpParityTest {
  static List<OpCase> cases() {
    return OpCases.all();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInF32(OpCase op) {
    agreesWithAutograd(op, DType.F32, 3e-6);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInF64(OpCase op) {
    agreesWithAutograd(op, DType.F64, 1e-12);
  }

  /** Held against F32 on the same rounded numbers: what is left is the rounding of each result. */
  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInBf16(OpCase op) {
    agreesWithAutograd(op, DType.BF16, 0.008);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAgreeWithAutogradInF16(OpCase op) {
    agreesWithAutograd(op, DType.F16, 0.001);
  }

  private static void agreesWithAutograd(OpCase op, DType dtype, double limit) {
    try (Arena arena = Arena.open("test")) {
      OpCase.Filled filled = op.fill(arena, dtype, 7);
      List<Tensor> gradients = new ArrayList<>();
      Tensor y;
      Tensor cotangent;
      try (Tape tape = Tape.recording(arena)) {
        List<Var> inputs = filled.inputs().stream().map(tape::input).toList();
        Var output = op.ours().apply(tape, inputs, filled.parameters().all());
        y = output.value().retain();
        cotangent = OpCase.random(arena, dtype, new SplittableRandom(11), y.shape());
        tape.backward(output, cotangent);
        for (Var each : inputs) {
          gradients.add(each.gradient() == null ? null : each.gradient().retain());
        }
      }
      for (Parameter each : filled.parameters().all()) {
        gradients.add(each.gradient());
      }
      try (PointerScope scope = new PointerScope();
          InferenceMode off = new InferenceMode(false);
          AutoGradMode on = new AutoGradMode(true)) {
        List<org.bytedeco.pytorch.Tensor> leaves = new ArrayList<>();
        for (Tensor each : filled.inputs()) {
          leaves.add(leaf(each));
        }
        for (Parameter each : filled.parameters().all()) {
          leaves.add(leaf(each.weight()));
        }
        org.bytedeco.pytorch.Tensor expected = op.reference().apply(leaves);
        near(op + " output", y, expected, limit);
        org.bytedeco.pytorch.Tensor seed = wide(cotangent).clone();
        expected.mul(seed).sum().backward();
        for (int i = 0; i < leaves.size(); i++) {
          org.bytedeco.pytorch.Tensor theirs = leaves.get(i).grad();
          if (theirs.defined()) {
            near(op + " gradient " + i, gradients.get(i), theirs, limit * 3);
          } else {
            assertThat(gradients.get(i)).as(op + " gradient " + i).isNull();
          }
        }
      }
    }
  }

  private static org.bytedeco.pytorch.Tensor leaf(Tensor values) {
    return wide(values).clone().detach().requires_grad_(true);
  }

  private static org.bytedeco.pytorch.Tensor wide(Tensor values) {
    return values.dtype().isHalf() ? values.handle().to(torch.ScalarType.Float) : values.handle();
  }

  private static void near(
      String what, @Nullable Tensor ours, org.bytedeco.pytorch.Tensor theirs, double limit) {
    assertThat(ours).as(what).isNotNull();
    double norm = theirs.norm().item().toDouble();
    double error = wide(ours).sub(theirs.detach()).norm().item().toDouble();
    assertThat(ours.count()).as(what).isEqualTo(theirs.numel());
    assertThat(error).as(what + " error against norm " + norm).isLessThanOrEqualTo(limit * norm);
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
    assertThat(cases().stream().map(c -> c.op().getSimpleName()).collect(Collectors.toSet()))
        .containsAll(ops);
  }
}
