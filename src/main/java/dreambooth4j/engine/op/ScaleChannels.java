package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/** Scales each channel by a weight. x, y [.., C], scale [C]; keeps x where the weight trains. */
public final class ScaleChannels {
  private ScaleChannels() {}

  /** x · scale. */
  public static Var apply(Tape tape, Var x, Parameter scale) {
    Tensor weight = scale.weight();
    boolean trains = scale.isTrainable();
    return tape.record(
        "scale_channels",
        tape.arena().compute("scale_channels", () -> x.handle().mul(weight.handle())),
        x.needsGradient() || trains,
        trains ? List.of(x.value()) : List.of(),
        dy -> {
          if (trains) {
            Native.run(
                "scale_channels.dw",
                () -> scale.accumulate(Matrices.rows(dy).mul(Matrices.rows(x.value())).sum(0)));
          }
          if (x.needsGradient()) {
            x.accumulate(
                tape.arena().compute("scale_channels.dx", () -> dy.handle().mul(weight.handle())));
          }
        });
  }
}
