package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * A short digest of pictures in their order: their names, sizes in bytes and what is said of them.
 */
final class Digest {
  private final MessageDigest digest = Sha256.digest();

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
