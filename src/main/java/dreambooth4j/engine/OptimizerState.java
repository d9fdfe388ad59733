package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** What an optimizer remembers of one group of parameters, by {@link StateTensor}'s layout. */
public final class OptimizerState {
  private final Parameters parameters;
  private final double rateFactor;
  private final Rounding rounding;
  private final Map<StateTensor, Tensor> tensors = new LinkedHashMap<>();
  private final List<Moment> moments = new ArrayList<>();

  /** Allocates it in {@code arena}, all zero, the moments in this type or, U8, in 8 bits. */
  OptimizerState(
      Arena arena, Optimizer.Group group, UpdateRule rule, DType type, Rounding rounding) {
    parameters = group.parameters();
    rateFactor = group.rateFactor();
    this.rounding = rounding;
    for (StateTensor each : StateTensor.layout(rule, type)) {
      String what = "optimizer's " + each.name();
      tensors.put(each, arena.zeros(what, each.dtype(), each.count(parameters.flatCount())));
    }
    for (UpdateRule.Remembered each : rule.moments()) {
      Tensor values = tensor(StateTensor.values(each, type));
      if (type == DType.U8) {
        values.fill_(each.code().encode(0) & 0xff);
      }
      Tensor scales = tensors.get(StateTensor.scales(each));
      moments.add(new Moment(each.code(), values, scales));
    }
  }

  private Tensor tensor(StateTensor of) {
    return Objects.requireNonNull(tensors.get(of), of.name());
  }

  /** The group. */
  public Parameters parameters() {
    return parameters;
  }

  /** What the step's learning rate is multiplied with for this group. */
  public double rateFactor() {
    return rateFactor;
  }

  /** How its weights are rounded where they have no masters. */
  public Rounding rounding() {
    return rounding;
  }

  /** F32 [1], how many steps were taken. */
  public Tensor steps() {
    return tensor(StateTensor.STEPS);
  }

  /** What is remembered of each weight, in the rule's order. */
  public List<Moment> moments() {
    return Collections.unmodifiableList(moments);
  }

  /** All that is remembered, to be saved and restored in place. */
  public Map<StateTensor, Tensor> tensors() {
    return Collections.unmodifiableMap(tensors);
  }
}
