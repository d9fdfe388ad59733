package dreambooth4j.weights;

import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** The files that are going to be written, and how long each is. Nothing is written here. */
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
      if (!Files.exists(target) || Files.size(target) != length) {
        bytes.put(target, length);
      }
    } catch (IOException e) {
      throw Safetensors.unreadable(source, e);
    }
  }

  /** Bytes by file. */
  public Map<Path, Long> bytes() {
    return Collections.unmodifiableMap(bytes);
  }
}
