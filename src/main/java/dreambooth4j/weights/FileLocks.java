package dreambooth4j.weights;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Locks by which a process tells others that it writes to a place. */
public final class FileLocks {
  /** The file that a run locks in the folder that it writes to; it stays there. */
  public static final String OF_RUN = ".lock";

  private FileLocks() {}

  /** The {@code output_dir} of the run that put a model into a folder: that one or its parent. */
  static Path runFolder(Path model) {
    Path folder = model.toAbsolutePath().normalize();
    Path parent = folder.getParent();
    if (parent == null
        || Files.exists(folder.resolve(OF_RUN))
        || !Files.exists(parent.resolve(OF_RUN))) {
      return folder;
    }
    return parent;
  }

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
