package dreambooth4j.train;

import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.AdamWOnDevice;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The optimizer's part in a step, on the host or by kernels. */
final class Update {
  private final AdamW optimizer;
  private final @Nullable AdamWOnDevice device;
  private final double maxNorm;

  Update(Arena run, Recipe recipe, List<Parameters> groups) {
    var o = recipe.optimizer();
    Launcher kernels = Kernels.of(run);
    device = kernels == null ? null : new AdamWOnDevice(kernels, run);
    optimizer =
        new AdamW(
            run,
            new AdamW.Settings(o.adamBeta1(), o.adamBeta2(), o.adamEpsilon(), o.adamWeightDecay()),
            groups,
            recipe.memory().use8bitAdam(),
            recipe.seed(),
            device);
    maxNorm = o.maxGradNorm();
    optimizer.zeroGradients();
  }

  AdamW optimizer() {
    return optimizer;
  }

  private boolean passes() {
    return optimizer.states().stream().anyMatch(each -> each.parameters().passesGradients());
  }

  void begin(Tensor rate) {
    if (passes()) {
      optimizer.begin(rate.item());
    }
  }

  void arrived() {
    optimizer.updateArrived();
  }

  void run(Tensor rate, Tensor lossScale, Tensor norm) {
    if (device != null && !passes()) {
      device.launch(optimizer.settings(), optimizer.active(), rate, lossScale, norm, maxNorm);
      optimizer.zeroGradients();
      return;
    }
    double scale = lossScale.arena().isDry() ? 1 : lossScale.item();
    double unscaled = optimizer.update(rate.item(), maxNorm, scale);
    norm.copyFrom(new float[] {(float) (unscaled * scale)});
    optimizer.zeroGradients();
  }
}
