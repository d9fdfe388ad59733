package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.RegularFile;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;

/** The files of a component that has a folder. */
record FolderFiles(Path folder) implements ComponentFiles {
  /** CLIP's merges have half a megabyte. */
  private static final int MOST_BYTES = 8 << 20;

  @Override
  public boolean has(String name) {
    // Whatever lies there under the name: what is no file is said when it is read.
    return Files.exists(folder.resolve(name), LinkOption.NOFOLLOW_LINKS);
  }

  @Override
  public ObjectNode json(String name) {
    return JsonFile.read(folder.resolve(name));
  }

  @Override
  public List<String> lines(String name) {
    return RegularFile.text(folder.resolve(name), MOST_BYTES).lines().toList();
  }

  @Override
  public String where(String name) {
    return folder.resolve(name).toString();
  }
}
