package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The files of a component that has a folder. */
record FolderFiles(Path folder) implements ComponentFiles {
  @Override
  public boolean has(String name) {
    return Files.isRegularFile(folder.resolve(name));
  }

  @Override
  public ObjectNode json(String name) {
    return JsonFile.read(folder.resolve(name));
  }

  @Override
  public List<String> lines(String name) {
    Path file = folder.resolve(name);
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + ": cannot be read: " + e, e);
    }
  }

  @Override
  public String where(String name) {
    return folder.resolve(name).toString();
  }
}
