package dreambooth4j.engine.op;

import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.kernel.Autotuner;
import dreambooth4j.engine.kernel.Autotuner.Candidate;
import dreambooth4j.engine.kernel.DeviceTimer;
import dreambooth4j.engine.op.AttentionEngine.Operators;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/**
 * On CUDA the fastest engine of a trial takes all attentions of the same sizes, in this run and in
 * later ones on the same machine; where gradients are computed too, their time counts.
 */
final class AttentionTrials implements AttentionChoice {
  private final Operators operators;
  private final Autotuner autotuner;
  private final Device timed;

  /** {@code timed}: the device whose time counts. */
  AttentionTrials(Operators operators, Autotuner autotuner, Device timed) {
    this.operators = operators;
    this.autotuner = autotuner;
    this.timed = timed;
  }

  /** On the current CUDA device. */
  static AttentionTrials ofUser() {
    return new AttentionTrials(Boxed::call, Autotuner.ofUser("attention"), Device.CUDA);
  }

  @Override
  public AttentionEngine choose(Sizes sizes, Supplier<Qkv> qkv, boolean backward) {
    List<Candidate> candidates =
        Arrays.stream(AttentionEngine.values())
            .filter(each -> each.takes(sizes))
            .map(each -> new Candidate(each.name(), () -> seconds(each, qkv, backward)))
            .toList();
    return AttentionEngine.valueOf(autotuner.choose(key(sizes, backward), candidates));
  }

  /** What a choice is remembered by. */
  static String key(Sizes sizes, boolean backward) {
    String multiplied = Platform.multipliedIn(sizes.dtype());
    boolean less = !multiplied.equals(sizes.dtype().toString());
    return sizes
        + (backward ? ", forward and backward" : ", forward")
        + (less ? ", " + multiplied : "");
  }

  private double seconds(AttentionEngine engine, Supplier<Qkv> qkv, boolean backward) {
    return DeviceTimer.ofCall(
        timed, () -> Native.run("attention's trial", () -> run(engine, qkv.get(), backward)));
  }

  private void run(AttentionEngine engine, Qkv in, boolean backward) {
    var out = engine.forward(operators, in);
    if (backward) {
      engine.backward(operators, in, out, out[0]); // laid out as a gradient of y is
    }
  }
}
