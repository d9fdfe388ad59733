package dreambooth4j.engine.kernel;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Our kernels on the CPU, for tests of other rooms. */
public final class Emulated {
  private Emulated() {}

  /** Has the ops of a tree, none of which has run yet, take our kernels; without g++ skips. */
  public static void in(Arena arena) {
    assumeTrue(Emulator.available(), "g++ is not installed");
    try {
      Emulator.load();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
    Kernels.launchOn(arena, new Emulator(false));
  }

  /** The root of such a tree. */
  public static Arena open() {
    Arena arena = Arena.open("emulated");
    in(arena);
    return arena;
  }
}
