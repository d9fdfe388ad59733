package dreambooth4j;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * What lies in a folder. Java's own streams throw an unchecked exception where a folder cannot be
 * read to its end, which callers forget; here it is an {@link IOException} like any other.
 */
public final class FolderEntries {
  private FolderEntries() {}

  /** All entries of a folder, sorted. */
  public static List<Path> of(Path folder) throws IOException {
    List<Path> entries = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder)) {
      stream.forEach(entries::add);
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    Collections.sort(entries);
    return entries;
  }

  /**
   * All that lies below a folder, each folder before what lies in it; symbolic links are not
   * followed.
   */
  public static List<Path> below(Path folder) throws IOException {
    List<Path> found = new ArrayList<>();
    for (Path entry : of(folder)) {
      found.add(entry);
      if (Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)) {
        found.addAll(below(entry));
      }
    }
    return found;
  }

  /**
   * A folder and those below it, no symbolic links, of which each can be listed: others are passed
   * over.
   *
   * @param levels how far down; 0 is the folder alone
   */
  public static List<Path> foldersBelow(Path folder, int levels) {
    List<Path> found = new ArrayList<>();
    addBelow(folder, levels, found);
    return found;
  }

  private static void addBelow(Path folder, int levels, List<Path> found) {
    List<Path> entries;
    try {
      entries = of(folder);
    } catch (IOException e) {
      return;
    }
    found.add(folder);
    if (levels > 0) {
      for (Path entry : entries) {
        if (Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)) {
          addBelow(entry, levels - 1, found);
        }
      }
    }
  }
}
