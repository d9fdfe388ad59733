package dreambooth4j.engine.kernel;

/**
 * Records what is launched, to launch it again as a whole. A replay reads and writes the memory
 * that was there when it was recorded; the host's part in the work is not repeated.
 */
public interface Recorder extends AutoCloseable {
  /**
   * Records {@code work} without running it on the device. What it allocates and frees stays
   * reserved until this is closed.
   *
   * @return launches it
   * @throws RuntimeException where something in it cannot be recorded; nothing has run then
   */
  Runnable record(Runnable work);

  /** Frees all recordings, which must not be replayed any more. */
  @Override
  void close();
}
