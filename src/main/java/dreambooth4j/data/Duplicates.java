package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Finds files with the content of one before them. Only files of equal size are read, and none that
 * is too large for a picture.
 */
final class Duplicates {
  private Duplicates() {}

  /** Those files whose content an earlier one has. */
  static Set<Path> among(List<Path> files) {
    Map<Long, List<Path>> bySize = new HashMap<>();
    List<Long> sizes = Parallel.map(files, Duplicates::size);
    for (int i = 0; i < files.size(); i++) {
      bySize.computeIfAbsent(sizes.get(i), size -> new ArrayList<>()).add(files.get(i));
    }
    List<Path> candidates = new ArrayList<>();
    for (int i = 0; i < files.size(); i++) {
      long size = sizes.get(i);
      if (size <= PictureFile.MOST_BYTES && bySize.getOrDefault(size, List.of()).size() > 1) {
        candidates.add(files.get(i));
      }
    }
    List<String> digests = Parallel.map(candidates, Sha256::of);
    Set<String> known = new HashSet<>();
    Set<Path> duplicates = new HashSet<>();
    for (int i = 0; i < candidates.size(); i++) {
      if (!known.add(digests.get(i))) {
        duplicates.add(candidates.get(i));
      }
    }
    return duplicates;
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + " cannot be read: " + Problem.why(e), e);
    }
  }
}
