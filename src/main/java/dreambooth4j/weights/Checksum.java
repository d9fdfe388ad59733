package dreambooth4j.weights;

import dreambooth4j.engine.Tensor;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/** CRC32C in hexadecimal digits: tells bits that have flipped, not those that somebody forged. */
public final class Checksum {
  private Checksum() {}

  /** Of a tensor's bytes. */
  public static String of(Tensor tensor) {
    CRC32C crc = new CRC32C();
    tensor.readBytes((bytes, offset) -> crc.update(bytes));
    return digits(crc);
  }

  /** Of names and what they stand for, in the order of the names. */
  public static String of(Map<String, String> texts) {
    CRC32C crc = new CRC32C();
    new TreeMap<>(texts)
        .forEach(
            (name, text) ->
                crc.update((name + "\0" + text + "\0").getBytes(StandardCharsets.UTF_8)));
    return digits(crc);
  }

  private static String digits(CRC32C crc) {
    return HexFormat.of().toHexDigits((int) crc.getValue());
  }
}
