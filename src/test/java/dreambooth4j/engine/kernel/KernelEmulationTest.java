package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Chosen;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
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

  static List<KernelCheck> checks() {
    return Chosen.among(KernelCheck.all());
  }

  @ParameterizedTest
  @MethodSource("checks")
  void shouldComputeWhatThePlainOpsDoInAnyOrderOfThreads(KernelCheck check) {
    try (Arena arena = Arena.open("test")) {
      Memory memory = new Memory(arena, t -> t);
      check.on(new Emulator(false), memory);
      assertThat(memory.fencesStand()).as("nothing written behind an end").isTrue();
      Memory other = new Memory(arena, t -> t);
      check.on(new Emulator(true), other);
      assertThat(memory.sameBits(other)).as("the same bits in another order").isTrue();
    }
  }
}
