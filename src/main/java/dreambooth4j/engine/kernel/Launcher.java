package dreambooth4j.engine.kernel;

/** Runs kernel launches in the order given: on a GPU, or in tests on the CPU. */
@FunctionalInterface
public interface Launcher {
  /** Launches; the result is there for whatever is launched after it. */
  void launch(Launch launch);
}
