package dreambooth4j.weights;

import java.io.IOException;
import java.nio.ByteBuffer;

/** The bytes of storages in a file that torch wrote, by the names that its pickle gives them. */
interface TorchStorages extends AutoCloseable {
  /** How many bytes there are of a storage; -1 where there is none of that name. */
  long bytes(String key);

  /**
   * Fills {@code target} with bytes of a storage.
   *
   * @param offset of the first one
   */
  void read(String key, long offset, ByteBuffer target) throws IOException;

  @Override
  void close() throws IOException;
}
