package dreambooth4j.data;

import dreambooth4j.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Finds files with the content of one before them. Only files of equal size are read. */
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
      if (bySize.getOrDefault(sizes.get(i), List.of()).size() > 1) {
        candidates.add(files.get(i));
      }
    }
    List<String> digests = Parallel.map(candidates, Duplicates::digest);
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

  private static String digest(Path file) {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      try (InputStream in = new DigestInputStream(Files.newInputStream(file), sha256)) {
        in.transferTo(java.io.OutputStream.nullOutputStream());
      }
      return HexFormat.of().formatHex(sha256.digest());
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + " cannot be read: " + Problem.why(e), e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
