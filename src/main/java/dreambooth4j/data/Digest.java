package dreambooth4j.data;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * A short digest of pictures in their order: their names, sizes in bytes and what is said of them.
 */
final class Digest {
  private final MessageDigest digest;

  Digest() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  void add(Path file, String more) {
    try {
      String line = file.getFileName() + "\n" + Files.size(file) + "\n" + more + "\n";
      digest.update(line.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw Problem.data(file + " cannot be read: " + Problem.why(e));
    }
  }

  /** Eight letters of it. */
  String text() {
    return HexFormat.of().formatHex(digest.digest(), 0, 4);
  }
}
