package dreambooth4j.distributed;

import dreambooth4j.engine.Native;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.ByteVector;
import org.bytedeco.pytorch.PrefixStore;
import org.bytedeco.pytorch.StringVector;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TCPStoreOptions;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Words by name that all ranks can read and write: c10d's TCPStore. A call may wait without end
 * where the machine that listens does not answer, so only threads that nobody waits for call it
 * once the ranks have met. It is never freed: native threads may be in it to the end.
 */
final class MeetingPlace {
  private static final long CONNECT_MILLISECONDS = 600_000;

  private final TCPStore store;
  private final String prefix;

  private MeetingPlace(TCPStore store, String prefix) {
    this.store = store;
    this.prefix = prefix;
  }

  /** Connects; where {@code listens}, opens it first. */
  static MeetingPlace open(RankEnvironment where, boolean listens) {
    TCPStore made =
        Native.call(
            "connect to %s:%d".formatted(where.host(), where.port()),
            () -> {
              torch.initLogging(); // TORCH_CPP_LOG_LEVEL is not read without it
              TCPStoreOptions options = new TCPStoreOptions();
              options.port((short) where.port()).isServer(listens).waitWorkers(false);
              options.timeout(new Milliseconds(CONNECT_MILLISECONDS));
              return kept(new TCPStore(where.host(), options));
            });
    return new MeetingPlace(made, "dreambooth4j/" + where.attempt() + "/");
  }

  private static <T extends org.bytedeco.javacpp.Pointer> T kept(T pointer) {
    pointer.retainReference();
    return pointer;
  }

  /** The part of it in which a process group meets. */
  PrefixStore part(String name) {
    return Native.call("store", () -> kept(new PrefixStore(prefix + name, store)));
  }

  void set(String name, String value) {
    Native.run("store", () -> store.set(prefix + name, bytes(value)));
  }

  /** Sets it unless it is set; what it is then. */
  String setFirst(String name, String value) {
    return Native.call(
        "store", () -> text(store.compareSet(prefix + name, new ByteVector(), bytes(value))));
  }

  /** What was set, or null. */
  @Nullable String get(String name) {
    return Native.call(
        "store",
        () -> store.check(new StringVector(prefix + name)) ? text(store.get(prefix + name)) : null);
  }

  /** What was set under these names, all of which must be there. */
  List<String> getAll(List<String> names) {
    return names.stream()
        .map(name -> Native.call("store", () -> text(store.get(prefix + name))))
        .toList();
  }

  private static ByteVector bytes(String text) {
    return new ByteVector(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String text(ByteVector bytes) {
    return new String(bytes.get(), StandardCharsets.UTF_8);
  }
}
