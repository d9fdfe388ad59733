package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.GroupNorm;

/** A group normalisation layer over pictures [B, H, W, C]. */
record ChannelNorm(Parameter gamma, Parameter beta, int groups, double epsilon) {
  Var forward(Tape tape, Var x) {
    return GroupNorm.apply(tape, x, gamma, beta, groups, epsilon, false);
  }

  /** With SiLU after it. */
  Var silu(Tape tape, Var x) {
    return GroupNorm.apply(tape, x, gamma, beta, groups, epsilon, true);
  }
}
