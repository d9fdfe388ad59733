package dreambooth4j.weights;

import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The files that are going to be there, and how much of each is written. Nothing is written here.
 */
public final class FolderPlan implements NewFiles {
  private final Map<Path, Long> bytes = new LinkedHashMap<>();

  @Override
  public void add(Path target, StagedFiles.Body body) {
    RegularFile.requirePlace(target);
    bytes.put(target, body.bytes());
  }

  /** A file of the same length is taken for the same: to compare whole models takes minutes. */
  @Override
  public void copy(Path source, Path target) {
    RegularFile.requirePlace(target);
    try {
      long length = Files.size(source);
      boolean isThere = Files.exists(target) && Files.size(target) == length;
      bytes.put(target, isThere ? 0 : length);
    } catch (IOException e) {
      throw Unreadable.file(source, e);
    }
  }

  @Override
  public void reserve(Path target) {
    RegularFile.requirePlace(target);
    bytes.putIfAbsent(target, 0L);
  }

  /** Bytes that are written by file: 0 of a copy that is there already. */
  public Map<Path, Long> bytes() {
    return Collections.unmodifiableMap(bytes);
  }
}
