package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Linear;
import org.jspecify.annotations.Nullable;

/** A linear layer over the last axis: [.., in] to [.., out]. */
record Dense(Parameter weight, @Nullable Parameter bias) {
  Var forward(Tape tape, Var x) {
    return Linear.apply(tape, x, weight, bias);
  }
}
