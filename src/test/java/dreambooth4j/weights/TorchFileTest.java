package dreambooth4j.weights;

import static dreambooth4j.weights.TinyPickle.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Checkpoints that torch has pickled. */
class TorchFileTest {
  /** Written by torch itself: each would make a file or a folder called executed-by-pickle. */
  private static final Path PICKLES = Path.of("src/test/resources/dreambooth4j/weights/pickles");

  private static final Map<String, byte[]> SIX = Map.of("0", floats(1, 2, 3, 4, 5, 6));
  private static final int NONE = 'N';

  @TempDir private Path folder;

  private Path file(byte[] content) throws IOException {
    return Files.write(folder.resolve("model.ckpt"), content);
  }

  private static void assertTensor(TensorSource file, String name, float... values) {
    try (Arena run = Arena.open("run")) {
      assertThat(file.read(run, name).toFloats()).containsExactly(values);
    }
  }

  /** A dictionary of one tensor. */
  private static byte[] one(long count, long offset, long[] shape, long... strides) {
    return new TinyPickle()
        .op('}')
        .text("w")
        .tensor("FloatStorage", "0", count, offset, shape, strides)
        .op('s')
        .end();
  }

  @Test
  void shouldReadWhatATrainingRunLeaves() throws IOException {
    byte[] pickle =
        new TinyPickle()
            .op('}', '(')
            .text("global_step")
            .number(875000)
            .text("callbacks")
            .op('}')
            .global("pytorch_lightning.callbacks", "ModelCheckpoint")
            .op('}', 's')
            .text("state_dict")
            .global("collections", "OrderedDict")
            .op(')', 'R', '(')
            .text("a")
            .tensor("FloatStorage", "0", 6, 0, new long[] {2, 3}, new long[] {3, 1})
            .text("b")
            .tensor("FloatStorage", "0", 6, 2, new long[] {2}, new long[] {1})
            .op('u', '}')
            .text("_metadata")
            .number(1)
            .op('s', 'b', 'u')
            .end();
    try (TorchFile found = TorchFile.open(file(TinyPickle.zip(pickle, SIX)))) {
      assertThat(found.tensors().keySet()).containsExactly("a", "b");
      assertThat(found.info("a").shape()).containsExactly(2L, 3L);
      assertThat(found.info("a").dtype()).isEqualTo(DType.F32);
      assertThat(found.metadata()).containsEntry("global_step", "875000");
      assertTensor(found, "a", 1, 2, 3, 4, 5, 6);
      assertTensor(found, "b", 3, 4);
    }
  }

  @Test
  void shouldPutInOrderWhatLiesOtherwise() throws IOException {
    byte[] pickle =
        new TinyPickle()
            .op('}', '(')
            .text("transposed")
            .tensor("FloatStorage", "0", 6, 0, new long[] {3, 2}, new long[] {1, 3}, NONE)
            .text("column")
            .tensor("FloatStorage", "0", 6, 1, new long[] {2}, new long[] {3}, NONE)
            .text("part")
            .tensor(
                "FloatStorage",
                "0",
                6,
                1,
                new long[] {2},
                new long[] {1},
                // a storage that is a part of another: its name, its offset and its length
                '(',
                'X',
                1,
                0,
                0,
                0,
                'v',
                'K',
                3,
                'K',
                3,
                't')
            .op('u')
            .end();
    try (TorchFile found = TorchFile.open(file(TinyPickle.legacy(pickle, SIX)))) {
      assertTensor(found, "transposed", 1, 4, 2, 5, 3, 6);
      assertTensor(found, "column", 2, 5);
      assertTensor(found, "part", 5, 6);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "malicious.ckpt, io.open",
    "malicious-stack.ckpt, posix.mkdir",
    "malicious-legacy.ckpt, io.open"
  })
  void shouldRefuseByNameWhatIsCalled(String name, String called) {
    assertThatThrownBy(() -> ModelSource.find(PICKLES.resolve(name).toString(), ModelOptions.NONE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("this pickle calls " + called + ",")
        .hasMessageContaining("nothing of it was run");
    assertThat(Path.of("executed-by-pickle")).doesNotExist();
  }

  @Test
  void shouldRefuseByNameWhateverTheWayItIsCalled() throws IOException {
    TinyPickle reduced = new TinyPickle().global("os", "system").text("true").op(0x85, 'R');
    TinyPickle made = new TinyPickle().global("os", "system").op(')', 0x81);
    TinyPickle older = new TinyPickle().op('(', 'i');
    "os\nsystem\n".chars().forEach(older::op);
    TinyPickle built = new TinyPickle().global("os", "system").op('}', 'b');
    for (TinyPickle each : new TinyPickle[] {reduced, made, older, built}) {
      Path file = file(TinyPickle.zip(each.end(), Map.of()));
      assertThatThrownBy(() -> TorchFile.open(file))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("os.system");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "6, 4, 3, 1, its storage has 6 elements",
    "6, 0, 6, 2, its storage has 6 elements",
    "6, 0, 7, 0, its storage has 6 elements",
    "6, -1, 2, 1, a negative size",
    "6, 0, -2, 1, a negative size",
    "7, 0, 2, 1, 'a storage 0 of 28 bytes, found 24'",
  })
  void shouldRefuseATensorThatLeavesItsStorage(
      long count, long offset, long size, long stride, String why) throws IOException {
    byte[] pickle = one(count, offset, new long[] {size}, stride);
    for (byte[] content :
        new byte[][] {TinyPickle.zip(pickle, SIX), TinyPickle.legacy(pickle, SIX)}) {
      Path file = file(content);
      assertThatThrownBy(() -> TorchFile.open(file))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("tensor w")
          .hasMessageContaining(why);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 30})
  void shouldRefuseTruncatedFiles(int missing) throws IOException {
    byte[] pickle = one(6, 0, new long[] {6}, 1);
    for (byte[] content :
        new byte[][] {TinyPickle.zip(pickle, SIX), TinyPickle.legacy(pickle, SIX)}) {
      Path file = file(Arrays.copyOf(content, content.length - missing));
      assertThatThrownBy(() -> TorchFile.open(file))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("model.ckpt");
    }
  }

  @Test
  void shouldRefuseATextThatCannotBeThere() throws IOException {
    byte[] pickle = new TinyPickle().op('X', 0xff, 0xff, 0xff, 0x7f, 'a').end();
    Path file = file(TinyPickle.zip(pickle, Map.of()));
    assertThatThrownBy(() -> TorchFile.open(file))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("a damaged pickle");
  }

  /** A list that holds itself, of which a text would have no end. */
  private static TinyPickle endless() {
    return new TinyPickle().op(']', 'q', 0, 'h', 0, 'a');
  }

  @Test
  void shouldNotWriteOutWhatHasNoEnd() throws IOException {
    byte[] built = endless().op('}', 'b').end();
    byte[] stored = endless().op(0x85, 'Q').end();
    for (byte[] each : new byte[][] {built, stored}) {
      Path file = file(TinyPickle.zip(each, Map.of()));
      assertThatThrownBy(() -> TorchFile.open(file))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("is refused");
    }
    byte[] none = TinyPickle.legacy(new TinyPickle().op('}').end(), Map.of());
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(none, 0, none.length - new TinyPickle().op(']', '(', 'e').end().length);
    bytes.writeBytes(endless().end());
    bytes.writeBytes(new byte[Long.BYTES]);
    Path file = file(bytes.toByteArray());
    assertThatThrownBy(() -> TorchFile.open(file))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("no text");
  }

  @Test
  void shouldNotBelieveASizeThatAnEntryOfTheArchiveClaims() throws IOException {
    byte[] content =
        TinyPickle.zip(one(7, 0, new long[] {7}, 1), Map.of("0", floats(1, 2, 3, 4, 5, 6)));
    ByteBuffer zip = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
    int last = -1; // the entry of the storage in the archive's directory
    for (int i = 0; i + 4 < content.length; i++) {
      last = zip.getInt(i) == 0x02014b50 ? i : last;
    }
    zip.putInt(last + 24, 28);
    Path file = file(content);
    assertThatThrownBy(() -> TorchFile.open(file))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("model.ckpt");
  }

  @Test
  void shouldRefuseWhatIsTooLargeToPutInOrder() throws IOException {
    Path file = folder.resolve("model.ckpt");
    long count = 1L << 29; // 2 GB of numbers out of 1 GB, some of them twice
    byte[] pickle = one(count, 0, new long[] {2, count / 2}, 1, 1);
    byte[] head = TinyPickle.legacy(pickle, Map.of("0", new byte[0]));
    ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN).putLong(head.length - Long.BYTES, count);
    Files.write(file, head);
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(head.length + 4 * count);
    }
    try (TorchFile found = TorchFile.open(file);
        Arena run = Arena.open("run")) {
      assertThatThrownBy(() -> found.read(run, "w"))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("more than 2 GB");
    }
  }

  @Test
  void shouldRefuseWhatTorchNeverWrites() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.putNextEntry(new ZipEntry("model/data.pkl"));
      zip.write(new byte[1 << 20]);
      zip.closeEntry();
    }
    Path compressed = file(bytes.toByteArray());
    assertThatThrownBy(() -> TorchFile.open(compressed)).hasMessageContaining("is compressed");
    Path other = file(TinyPickle.zip(new TinyPickle().op('}', '2').end(), Map.of()));
    assertThatThrownBy(() -> TorchFile.open(other))
        .hasMessageContaining("which no pickle of torch has");
    Path list = file(TinyPickle.zip(new TinyPickle().op(']').end(), Map.of()));
    assertThatThrownBy(() -> TorchFile.open(list))
        .hasMessageContaining("expected a pickled dictionary");
  }
}
