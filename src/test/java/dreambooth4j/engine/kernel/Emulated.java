package dreambooth4j.engine.kernel;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import java.io.IOException;

/** Our kernels on the CPU, for tests of other rooms. */
public final class Emulated {
  private Emulated() {}

  /** Has the ops of a tree, none of which has run yet, take our kernels; without g++ skips. */
  public static void in(Arena arena) throws IOException, InterruptedException {
    assumeTrue(Emulator.available(), "g++ is not installed");
    Emulator.load();
    Kernels.launchOn(arena, new Emulator(false));
  }
}
