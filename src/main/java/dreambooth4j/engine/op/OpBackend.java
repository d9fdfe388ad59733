package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.cudnn.Convolutions;
import dreambooth4j.engine.kernel.CudaFork;
import dreambooth4j.engine.kernel.CudaLauncher;
import dreambooth4j.engine.kernel.Fork;
import dreambooth4j.engine.kernel.KernelCache;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What ops compute with beside libtorch's own: our kernels, cuDNN's convolutions, and the choice
 * among libtorch's attentions. On a CPU there are none, and one attention; on CUDA all, unless the
 * environment variable {@code DREAMBOOTH4J_KERNELS} or {@code DREAMBOOTH4J_CUDNN} is {@code off},
 * for comparisons. With {@code DREAMBOOTH4J_FORK=on} gradients of weights are computed on a second
 * stream beside those of their inputs. A dry backend goes the ways of its device, launches nothing,
 * and counts what kernels and convolutions work in.
 *
 * <p>One for each tree of arenas. What a device must be asked for is made when it is first used.
 */
public final class OpBackend implements Kernels {
  /** The variable that leaves out our kernels where it is {@code off}. */
  public static final String KERNELS = "DREAMBOOTH4J_KERNELS";

  /** The variable that leaves convolutions to libtorch where it is {@code off}. */
  public static final String CUDNN = "DREAMBOOTH4J_CUDNN";

  private static final boolean NO_KERNELS = isOff(KERNELS, System.getenv());
  private static final boolean NO_CUDNN = isOff(CUDNN, System.getenv());
  private static final boolean FORK = "on".equals(System.getenv("DREAMBOOTH4J_FORK"));

  private static final OpBackend CPU = on(Device.CPU);
  private static final OpBackend DRY_CPU = dry(Device.CPU);

  /** Makes a thing once, when it is first asked for. */
  private static final class Once<T extends @Nullable Object> implements Supplier<T> {
    private @Nullable Supplier<T> make;
    private @Nullable T made;

    Once(Supplier<T> make) {
      this.make = make;
    }

    @Override
    @SuppressWarnings("NullAway") // made is null where T may be
    public T get() {
      if (make != null) {
        made = make.get();
        make = null;
      }
      return made;
    }
  }

  private final Device device;
  private final boolean dry;
  private final Supplier<@Nullable Launcher> launcher;
  private final Supplier<@Nullable Convolutions> convolutions;
  private final Supplier<AttentionChoice> attention;
  private final Supplier<Fork> fork;

  private OpBackend(
      Device device,
      boolean dry,
      Supplier<@Nullable Launcher> launcher,
      Supplier<@Nullable Convolutions> convolutions,
      Supplier<AttentionChoice> attention,
      Supplier<Fork> fork) {
    this.device = device;
    this.dry = dry;
    this.launcher = new Once<>(launcher);
    this.convolutions = new Once<>(convolutions);
    this.attention = new Once<>(attention);
    this.fork = new Once<>(fork);
  }

  private static boolean isOff(String variable, Map<String, String> environment) {
    return "off".equals(environment.get(variable));
  }

  /** What an environment says of {@link #KERNELS} and {@link #CUDNN}: on or off. */
  public static Map<String, String> switches(Map<String, String> environment) {
    return Stream.of(KERNELS, CUDNN)
        .collect(Collectors.toMap(each -> each, each -> isOff(each, environment) ? "off" : "on"));
  }

  /** A device that is there. */
  public static OpBackend on(Device device) {
    boolean cuda = device == Device.CUDA;
    return new OpBackend(
        device,
        false,
        () -> cuda && !NO_KERNELS ? new CudaLauncher(KernelCache.ofUser()) : null,
        () -> cuda && !NO_CUDNN ? Convolutions.byCudnn() : null,
        () -> cuda ? AttentionTrials.ofUser() : AttentionChoice.always(AttentionEngine.CPU_FLASH),
        () -> cuda && FORK ? new CudaFork() : Fork.NONE);
  }

  /** The ways of a device, which need not be there. */
  public static OpBackend dry(Device device) {
    boolean cuda = device == Device.CUDA;
    return new OpBackend(
        device,
        true,
        () -> cuda && !NO_KERNELS ? launch -> {} : null,
        () -> cuda && !NO_CUDNN ? Convolutions.dry() : null,
        () -> AttentionChoice.always(AttentionEngine.DRY),
        () -> Fork.NONE);
  }

  /** As this one, with our kernels launched there. */
  public OpBackend launching(Launcher where) {
    return new OpBackend(device, dry, () -> where, convolutions, attention, fork);
  }

  /** As this one, with convolutions by these, or by libtorch for null. */
  public OpBackend convolving(@Nullable Convolutions by) {
    return new OpBackend(device, dry, launcher, () -> by, attention, fork);
  }

  /** As this one, with gradients of weights beside those of their inputs in this way. */
  public OpBackend forking(Supplier<Fork> by) {
    return new OpBackend(device, dry, launcher, convolutions, attention, by);
  }

  /** As this one, with attention by these choices. */
  OpBackend attending(AttentionChoice choice) {
    return new OpBackend(device, dry, launcher, convolutions, () -> choice, fork);
  }

  /** The one of an arena: of an arena that was given none, the CPU's. */
  static OpBackend of(Arena arena) {
    if (arena.backend() instanceof OpBackend given) {
      return given;
    }
    return arena.isDry() ? DRY_CPU : CPU;
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  public boolean isDry() {
    return dry;
  }

  @Override
  public @Nullable Launcher launcher() {
    return launcher.get();
  }

  /** Convolutions that are not libtorch's; null where all are. */
  public @Nullable Convolutions convolutions() {
    return convolutions.get();
  }

  /** How two gradients that need nothing of each other are computed. */
  Fork fork() {
    return fork.get();
  }

  /** What computes an attention. */
  AttentionChoice attention() {
    return attention.get();
  }
}
