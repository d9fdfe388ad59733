package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.LossForm;
import dreambooth4j.engine.kernel.LossKernels;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Op cases of the loss, in each of its forms. */
final class LossCases {
  private LossCases() {}

  static List<OpCase> all() {
    return List.of(
        rowLoss(2, LossForm.SQUARED),
        rowLoss(3, LossForm.SQUARED),
        rowLoss(2, LossForm.HUBER),
        rowLoss(2, LossForm.SMOOTH_L1),
        rowLoss(2, LossForm.ABSOLUTE),
        rowLoss(2, LossForm.LOG_COSH),
        rowLoss(2, LossForm.CLASSIC_HUBER));
  }

  private static OpCase rowLoss(int instances, LossForm form) {
    float[] weights = {0.5f, 0.35f, 1.25f};
    double[] expected = new double[3];
    for (int row = 0; row < 3; row++) {
      double half = row < instances ? 1.0 / instances : 0.4f / (double) (3 - instances);
      expected[row] = half * weights[row] * (row == 1 ? 0.25 : 1) * 0.5;
    }
    float[] thresholds = {0.75f, 0.5f};
    float[] mask = {1, 0.5f, 0, 0.25f, 1, 0.75f};
    return OpCase.of(
        RowLoss.class,
        "[3,2,5] %d of them instances, %s".formatted(instances, form),
        (t, x, p) -> {
          Arena arena = t.arena();
          dreambooth4j.engine.Tensor target = x.get(1).value();
          return RowLoss.apply(
              t,
              x.get(0),
              target,
              new LossKernels.Weights(
                  instances,
                  arena.longs("timesteps", new long[] {0, 1, 0}, 3),
                  arena.floats("of timestep", new float[] {1, 0.25f}, 2),
                  arena.floats("of row", weights, 3),
                  arena.floats("prior", new float[] {0.4f}, 1),
                  arena.floats("fraction", new float[] {0.5f}, 1),
                  arena.floats("loss scale", new float[] {1}, 1),
                  false),
              new LossKernels.Measure(
                  form,
                  arena.floats("thresholds", thresholds, 2),
                  arena.floats("mask", mask, 3, 2)),
              arena.zeros("losses", target.dtype(), 3));
        },
        x -> {
          Tensor d = x.get(0).sub(x.get(1).detach());
          Tensor sum = torch.zeros(new long[] {1}, x.get(0).options());
          for (int row = 0; row < 3; row++) {
            Tensor cost = cost(form, d.narrow(0, row, 1), thresholds[row == 1 ? 1 : 0]);
            for (int place = 0; place < 2; place++) {
              double share = expected[row] * mask[2 * row + place] / 10;
              sum = sum.add(cost.narrow(1, place, 1).sum().mul(new Scalar(share)));
            }
          }
          return sum;
        },
        new long[] {3, 2, 5},
        new long[] {3, 2, 5});
  }

  /** As it is written, for autograd. */
  private static Tensor cost(LossForm form, Tensor d, double c) {
    Scalar threshold = new Scalar(c);
    Tensor root = d.mul(d).add(new Scalar(c * c)).sqrt().sub(threshold);
    return switch (form) {
      case SQUARED -> d.mul(d);
      case HUBER -> root.mul(new Scalar(2 * c));
      case SMOOTH_L1 -> root.mul(new Scalar(2));
      case ABSOLUTE -> d.abs();
      case LOG_COSH -> d.cosh().log();
      case CLASSIC_HUBER -> {
        Tensor near = d.clamp(new ScalarOptional(new Scalar(-c)), new ScalarOptional(threshold));
        yield near.mul(d).sub(near.mul(near).mul(new Scalar(0.5)));
      }
    };
  }
}
