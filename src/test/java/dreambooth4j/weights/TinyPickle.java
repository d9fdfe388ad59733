package dreambooth4j.weights;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Pickles of torch, put together opcode by opcode as torch.save writes them. */
final class TinyPickle {
  private static final byte[] MARK = {
    (byte) 0x80,
    2,
    (byte) 0x8a,
    10,
    0x6c,
    (byte) 0xfc,
    (byte) 0x9c,
    0x46,
    (byte) 0xf9,
    0x20,
    0x6a,
    (byte) 0xa8,
    0x50,
    0x19,
    '.'
  };
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  TinyPickle() {
    op(0x80, 2);
  }

  TinyPickle op(int... codes) {
    for (int code : codes) {
      bytes.write(code);
    }
    return this;
  }

  private TinyPickle put(byte[] content) {
    bytes.writeBytes(content);
    return this;
  }

  private static byte[] littleEndian(long value, int size) {
    byte[] all =
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    return java.util.Arrays.copyOf(all, size);
  }

  TinyPickle number(long value) {
    return op('J').put(littleEndian(value, Integer.BYTES));
  }

  TinyPickle text(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    return op('X').put(littleEndian(utf8.length, Integer.BYTES)).put(utf8);
  }

  TinyPickle global(String module, String name) {
    return op('c').put((module + "\n" + name + "\n").getBytes(StandardCharsets.UTF_8));
  }

  TinyPickle tuple(long... values) {
    op('(');
    for (long value : values) {
      number(value);
    }
    return op('t');
  }

  /** A tensor of a storage; {@code last} is what the older format has behind the length. */
  TinyPickle tensor(
      String type, String key, long count, long offset, long[] shape, long[] strides, int... last) {
    global("torch._utils", "_rebuild_tensor_v2").op('(', '(').text("storage");
    global("torch", type).text(key).text("cpu").number(count).op(last).op('t', 'Q');
    number(offset).tuple(shape).tuple(strides).op(0x89);
    return global("collections", "OrderedDict").op(')', 'R', 't', 'R');
  }

  byte[] end() {
    return op('.').bytes.toByteArray();
  }

  /** A zip archive as torch's since 1.6, of this pickle and these storages. */
  static byte[] zip(byte[] pickle, Map<String, byte[]> storages) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      store(zip, "model/data.pkl", pickle);
      store(zip, "model/byteorder", "little".getBytes(StandardCharsets.UTF_8));
      for (Map.Entry<String, byte[]> each : storages.entrySet()) {
        store(zip, "model/data/" + each.getKey(), each.getValue());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  private static void store(ZipOutputStream zip, String name, byte[] content) throws IOException {
    ZipEntry entry = new ZipEntry(name);
    CRC32 crc = new CRC32();
    crc.update(content);
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(content.length);
    entry.setCrc(crc.getValue());
    zip.putNextEntry(entry);
    zip.write(content);
    zip.closeEntry();
  }

  /** A file as torch's before 1.6, of this pickle and these storages of F32. */
  static byte[] legacy(byte[] pickle, Map<String, byte[]> storages) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(MARK);
    bytes.writeBytes(new TinyPickle().number(1001).end());
    bytes.writeBytes(new TinyPickle().op('}').text("little_endian").op(0x88, 's').end());
    bytes.writeBytes(pickle);
    TinyPickle keys = new TinyPickle().op(']', '(');
    List<String> names = List.copyOf(storages.keySet());
    names.forEach(keys::text);
    bytes.writeBytes(keys.op('e').end());
    for (String each : names) {
      byte[] content = Objects.requireNonNull(storages.get(each));
      bytes.writeBytes(littleEndian(content.length / Float.BYTES, Long.BYTES));
      bytes.writeBytes(content);
    }
    return bytes.toByteArray();
  }

  /** F32 numbers as a storage has them. */
  static byte[] floats(float... values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      bytes.putFloat(value);
    }
    return bytes.array();
  }
}
