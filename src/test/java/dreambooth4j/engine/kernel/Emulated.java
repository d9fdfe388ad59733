package dreambooth4j.engine.kernel;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.op.OpBackend;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Our kernels on the CPU, for tests of other rooms. */
public final class Emulated {
  private Emulated() {}

  /** The root of a tree whose ops take our kernels; without g++ skips. */
  public static Arena open() {
    assumeTrue(Emulator.available(), "g++ is not installed");
    try {
      Emulator.load();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
    return open(new Emulator(false));
  }

  /** As {@link #open()}, with kernels launched there. */
  static Arena open(Launcher launcher) {
    return open(launcher, Fork.NONE);
  }

  /** As {@link #open(Launcher)}, with gradients of weights beside those of inputs in this way. */
  static Arena open(Launcher launcher, Fork fork) {
    return Arena.open("emulated", OpBackend.on(Device.CPU).launching(launcher).forking(() -> fork));
  }
}
