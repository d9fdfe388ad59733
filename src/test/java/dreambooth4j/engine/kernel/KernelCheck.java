package dreambooth4j.engine.kernel;

import java.util.List;
import java.util.stream.Stream;

/** Something that a kernel must do, on the CPU under emulation and on a GPU. */
interface KernelCheck {
  /** Runs it; throws an AssertionError where it does not hold. */
  void on(Launcher device, Memory memory);

  /** A check with a name. */
  static KernelCheck named(String name, KernelCheck body) {
    return new KernelCheck() {
      @Override
      public void on(Launcher device, Memory memory) {
        body.on(device, memory);
      }

      @Override
      public String toString() {
        return name;
      }
    };
  }

  /** All of them. */
  static List<KernelCheck> all() {
    return Stream.of(
            KernelCases.all().stream(),
            OptimizerChecks.all().stream(),
            NoiseChecks.all().stream(),
            LossChecks.all().stream())
        .flatMap(each -> each)
        .toList();
  }
}
