package dreambooth4j.weights;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;

/** Locks by which a process tells others that it writes to a place. */
public final class FileLocks {
  private FileLocks() {}

  /**
   * Takes the lock of a file, until the channel is closed. Whether it is this process's now; yes
   * also on a file system without locks, where nobody can be asked.
   */
  public static boolean isOurs(FileChannel channel) {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    } catch (IOException e) {
      return true;
    }
  }
}
