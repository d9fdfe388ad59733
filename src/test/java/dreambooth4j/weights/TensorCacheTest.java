package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TensorCacheTest {
  private static final long[] SHAPE = {1, 2, 3};
  private static final float[] VALUES = {0, -0f, 1.5f, Float.MIN_VALUE, -3e38f, 0.1f};

  @TempDir Path folder;
  private final List<String> notes = new ArrayList<>();
  private int computed;

  @SuppressWarnings("NullAway.Init")
  private Arena arena;

  @BeforeEach
  void open() {
    arena = Arena.open("test");
  }

  @AfterEach
  void close() {
    arena.close();
  }

  private TensorCache cache() {
    return TensorCache.in(folder.resolve("cache"), arena, notes::add);
  }

  private Supplier<Tensor> values(float... values) {
    return () -> {
      computed++;
      return arena.floats("computed", values, SHAPE);
    };
  }

  /** The values, exactly; the tensor is released. */
  private float[] got(TensorCache cache, String content, Supplier<Tensor> compute) {
    Tensor tensor = cache.get(content, SHAPE, compute);
    assertThat(tensor.shape()).isEqualTo(SHAPE);
    float[] values = tensor.toFloats();
    tensor.release();
    return values;
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.filter(Files::isRegularFile).toList();
    }
  }

  private Path only() throws IOException {
    assertThat(files()).hasSize(1);
    return files().get(0);
  }

  @Test
  void shouldComputeOnceAndThenReadBitForBitWithoutHoldingMemory() throws IOException {
    assertThat(cache().has("a")).isFalse();
    assertThat(got(cache(), "a", values(VALUES))).isEqualTo(VALUES);
    assertThat(cache().has("a")).isTrue();
    for (int i = 0; i < 3; i++) {
      assertThat(got(cache(), "a", values(9, 9, 9, 9, 9, 9))).isEqualTo(VALUES);
    }
    assertThat(computed).isEqualTo(1);
    assertThat(arena.meter().liveCount()).isZero();
    assertThat(folder.resolve("cache").relativize(only()).toString())
        .matches("(..)/\\1[0-9a-f]{62}\\.safetensors");
    assertThat(notes).isEmpty();
  }

  @Test
  void shouldTellContentsApart() {
    TensorCache cache = cache();
    got(cache, "a", values(VALUES));
    assertThat(got(cache, "b", values(1, 2, 3, 4, 5, 6))).containsExactly(1, 2, 3, 4, 5, 6);
    assertThat(got(cache, "a", values(0, 0, 0, 0, 0, 0))).isEqualTo(VALUES);
    assertThat(computed).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "empty", "cut", "longer", "garbage", "zeros", "one bit", "other", "shape", "type", "NaN"
      })
  void shouldRebuildWhatIsDamagedWithOneNote(String damage) throws IOException {
    got(cache(), "a", values(VALUES));
    got(cache(), "b", values(VALUES));
    List<byte[]> sound = new ArrayList<>();
    for (Path file : files()) {
      byte[] bytes = Files.readAllBytes(file);
      sound.add(bytes);
      damage(file, bytes.clone(), damage);
      assertThat(Files.readAllBytes(file)).isNotEqualTo(bytes);
    }
    TensorCache cache = cache();
    computed = 0;
    for (int i = 0; i < 2; i++) {
      assertThat(got(cache, "a", values(VALUES))).isEqualTo(VALUES);
      assertThat(got(cache, "b", values(VALUES))).isEqualTo(VALUES);
    }
    assertThat(computed).isEqualTo(2);
    assertThat(notes).hasSize(1).first().asString().contains("damaged", ".safetensors");
    for (int i = 0; i < 2; i++) {
      assertThat(files().get(i)).hasBinaryContent(sound.get(i));
    }
    assertThat(arena.meter().liveCount()).isZero();
  }

  private void damage(Path file, byte[] bytes, String damage) throws IOException {
    int data = bytes.length - VALUES.length * 4;
    switch (damage) {
      case "empty" -> Files.write(file, new byte[0]);
      case "cut" -> Files.write(file, Arrays.copyOf(bytes, bytes.length - 5));
      case "longer" -> Files.write(file, Arrays.copyOf(bytes, bytes.length + 1));
      case "garbage" -> Files.writeString(file, "no tensors here, but text of some length");
      case "zeros" -> {
        Arrays.fill(bytes, data, bytes.length, (byte) 0);
        Files.write(file, bytes);
      }
      case "one bit" -> {
        bytes[data + 9] ^= 4;
        Files.write(file, bytes);
      }
      default -> forge(file, damage);
    }
  }

  /** A sound safetensors file that is not what it should be. */
  private void forge(Path file, String damage) {
    try (Arena scratch = arena.child("forge");
        Safetensors source = Safetensors.open(file)) {
      Tensor tensor = source.read(scratch, "tensor");
      String content = String.valueOf(source.metadata().get("content"));
      String checksum = String.valueOf(source.metadata().get("crc32c"));
      switch (damage) {
        case "other" -> content = "c";
        case "shape" -> tensor = tensor.reshaped(1, 3, 2);
        case "type" -> {
          Tensor numbers = scratch.allocate("numbers", DType.I32, 1, 2, 3);
          numbers.zero_();
          tensor = numbers;
        }
        case "NaN" -> {
          tensor = scratch.floats("NaN", new float[] {0, 0, 0, 0, 0, Float.NaN}, SHAPE);
          checksum = "afa4b83a"; // the right one for these numbers
        }
        default -> throw new IllegalArgumentException(damage);
      }
      new SafetensorsWriter()
          .metadata("content", content)
          .metadata("crc32c", checksum)
          .add("tensor", tensor)
          .write(scratch, file);
    }
  }

  /** A folder that cannot be made stands for a full disk and for one that is read only. */
  @Test
  void shouldGoOnInMemoryWithOneNoteWhereItCannotWrite() throws IOException {
    Path file = Files.writeString(folder.resolve("cache"), "in the way");
    TensorCache cache = cache();
    assertThat(cache.isWritable()).isTrue();
    for (int i = 0; i < 2; i++) {
      assertThat(got(cache, "a", values(VALUES))).isEqualTo(VALUES);
      assertThat(got(cache, "b", values(VALUES))).isEqualTo(VALUES);
    }
    assertThat(computed).isEqualTo(2);
    assertThat(arena.meter().liveCount()).isEqualTo(2);
    assertThat(cache.isWritable()).isFalse();
    assertThat(notes).hasSize(1).first().asString().contains("cannot be written", file.toString());
    assertThat(only()).hasContent("in the way");
  }

  @Test
  void shouldReadWhereItCannotWrite() throws IOException {
    got(cache(), "a", values(VALUES));
    Path entry = only();
    TensorCache cache = cache();
    // What "b" would be written to: two letters of a hash, taken by a file.
    String name = dreambooth4j.Sha256.of("b").substring(0, 2);
    Files.writeString(folder.resolve("cache").resolve(name), "in the way");
    got(cache, "b", values(VALUES));
    assertThat(cache.isWritable()).isFalse();
    assertThat(entry).exists();
    assertThat(got(cache, "a", values(0, 0, 0, 0, 0, 0))).isEqualTo(VALUES);
    assertThat(computed).isEqualTo(2);
  }

  @Test
  void shouldNotKeepOnDiskWhatIsNotFinite() throws IOException {
    TensorCache cache = cache();
    float[] broken = {1, 2, Float.NaN, 4, 5, 6};
    assertThat(got(cache, "a", values(broken))).isEqualTo(broken);
    assertThat(files()).isEmpty();
    assertThat(cache.isWritable()).isTrue();
  }

  @Test
  void shouldComputeAnewWhatWasDeletedMeanwhileWithoutANote() throws IOException {
    TensorCache cache = cache();
    got(cache, "a", values(VALUES));
    Files.delete(only());
    assertThat(got(cache, "a", values(VALUES))).isEqualTo(VALUES);
    assertThat(computed).isEqualTo(2);
    assertThat(notes).isEmpty();
  }

  @Test
  void shouldRememberInMemoryWithoutAFolder() throws IOException {
    TensorCache cache = TensorCache.inMemory(arena);
    got(cache, "a", values(VALUES));
    assertThat(got(cache, "a", values(0, 0, 0, 0, 0, 0))).isEqualTo(VALUES);
    assertThat(cache.has("a")).isTrue();
    assertThat(cache.folder()).isNull();
    assertThat(arena.meter().liveCount()).isEqualTo(1);
    assertThat(files()).isEmpty();
  }

  /** Writers and readers of the same entries at once: nobody ever sees half of one. */
  @Test
  void shouldServeSeveralAtOnce() throws Exception {
    int entries = 40;
    Callable<List<String>> work =
        () -> {
          List<String> heard = new ArrayList<>();
          try (Arena own = Arena.open("own")) {
            TensorCache cache = TensorCache.in(folder.resolve("cache"), own, heard::add);
            for (int i = 0; i < entries; i++) {
              float[] values = new float[30_000];
              Arrays.fill(values, i);
              long[] shape = {values.length};
              Tensor tensor =
                  cache.get("entry " + i, shape, () -> own.floats("computed", values, shape));
              assertThat(tensor.toFloats()).isEqualTo(values);
              tensor.release();
            }
          }
          return heard;
        };
    ExecutorService threads = Executors.newFixedThreadPool(6);
    try {
      for (Future<List<String>> each : threads.invokeAll(java.util.Collections.nCopies(6, work))) {
        assertThat(each.get()).isEmpty();
      }
    } finally {
      threads.shutdownNow();
    }
    assertThat(files()).hasSize(entries).allMatch(f -> f.toString().endsWith(".safetensors"));
  }
}
