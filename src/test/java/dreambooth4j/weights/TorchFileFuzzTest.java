package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Pickles of torch: what is accepted lies inside the file, and nothing else is ever called. */
@Timeout(60)
class TorchFileFuzzTest {
  private static final Map<String, byte[]> STORAGE =
      Map.of("0", TinyPickle.floats(1, 2, 3, 4, 5, 6));

  static Stream<byte[]> files() {
    byte[] state =
        new TinyPickle()
            .op('}', '(')
            .text("global_step")
            .number(3)
            .text("a")
            .tensor("FloatStorage", "0", 6, 0, new long[] {3, 2}, new long[] {1, 3}, 'N')
            .text("b")
            .tensor("FloatStorage", "0", 6, 2, new long[] {2}, new long[] {1}, 'N')
            .op('u')
            .end();
    byte[] call = new TinyPickle().global("os", "system").text("true").op(0x85, 'R').end();
    byte[] endless = new TinyPickle().op(']', 'q', 0, 'h', 0, 'a', '}', 'b').end();
    return Stream.of(
        state, call, endless, TinyPickle.legacy(state, STORAGE), TinyPickle.legacy(call, STORAGE));
  }

  /** The content is a file of the older format, and the pickle in one of the newer. */
  @MethodSource("files")
  @FuzzTest
  void shouldReadOrRefuse(byte[] content) {
    Untrusted.read("model.ckpt", content, TorchFileFuzzTest::check);
    Untrusted.read("model.ckpt", TinyPickle.zip(content, STORAGE), TorchFileFuzzTest::check);
  }

  private static void check(Path path) {
    try (TorchFile file = TorchFile.open(path);
        Arena arena = Arena.open("fuzz")) {
      for (TensorInfo info : file.tensors().values()) {
        Tensor tensor = file.read(arena, info.name());
        assertThat(tensor.shape()).isEqualTo(info.sizes());
        tensor.release();
      }
    }
  }
}
