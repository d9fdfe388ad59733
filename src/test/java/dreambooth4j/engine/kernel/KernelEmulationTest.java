package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Chosen;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The kernels' arithmetic, run on the CPU by g++, against the plain ops. */
@Tag("kernels")
class KernelEmulationTest {
  @BeforeAll
  static void compile() throws IOException, InterruptedException {
    assumeTrue(Emulator.available(), "g++ is not installed");
    Emulator.load();
  }

  @AfterEach
  void exact() {
    Emulator.err(0);
  }

  static List<KernelCheck> checks() {
    return Chosen.among(KernelCheck.all());
  }

  @ParameterizedTest
  @MethodSource("checks")
  void shouldComputeWhatThePlainOpsDoInAnyOrderOfThreads(KernelCheck check) {
    try (Arena arena = Arena.open("test");
        Memory memory = Memory.emulated(arena);
        Memory other = Memory.emulated(arena)) {
      check.on(new Emulator(false), memory);
      check.on(new Emulator(true), other);
      assertThat(memory.sameBits(other)).as("the same bits in another order").isTrue();
      assertThat(memory.fencesStand()).as("nothing written beside a tensor").isTrue();
    }
  }

  /** Of kernels with functions of fp32 that CUDA rounds otherwise than the host. */
  static List<KernelCheck> inexact() {
    return Chosen.among(
        Stream.concat(KernelCases.all().stream(), LossChecks.all().stream()).toList());
  }

  @ParameterizedTest
  @MethodSource("inexact")
  void shouldHoldWithFunctionsAsInexactAsCudas(KernelCheck check) {
    for (int direction = 1; direction <= 3; direction++) {
      Emulator.err(direction);
      try (Arena arena = Arena.open("test");
          Memory memory = Memory.emulated(arena)) {
        check.on(new Emulator(false), memory);
      }
    }
  }

  @Test
  void shouldNoticeAReadBehindAnEnd() {
    try (Arena arena = Arena.open("test");
        Memory memory = Memory.emulated(arena)) {
      Tensor a = memory.copy(arena.zeros("a", DType.F32, 64));
      Tensor shorter = memory.copy(arena.zeros("b", DType.F32, 60));
      Tensor y = memory.blank(DType.F32, 64);
      assertThatThrownBy(() -> AddKernels.add(new Emulator(false), a, shorter, y))
          .isInstanceOf(AssertionError.class)
          .hasMessageContaining("outside of a buffer");
    }
  }
}
