package dreambooth4j.engine;

/**
 * Where the tensors of a tree of arenas lie, and what computes there. It is chosen once, when the
 * root is opened, and every op finds it by its tape's arena. The core asks only what is said here;
 * what ops ask, our kernels, convolutions and attention, is {@code engine.op.OpBackend}.
 */
public interface Backend {
  /** The CPU, by libtorch alone. */
  Backend CPU =
      new Backend() {
        @Override
        public Device device() {
          return Device.CPU;
        }

        @Override
        public boolean isDry() {
          return false;
        }
      };

  /** Where tensors lie; of a dry backend, whose ways its ops go. */
  Device device();

  /**
   * Whether tensors have shapes and are counted, but have no memory: a dry tensor reads as zeros,
   * and what is written to it is lost.
   */
  boolean isDry();
}
