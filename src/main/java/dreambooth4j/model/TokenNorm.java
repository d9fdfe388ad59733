package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.LayerNorm;

/** A layer normalisation layer over tokens [.., C]. */
record TokenNorm(Parameter gamma, Parameter beta, double epsilon) {
  Var on(Tape tape, Var x) {
    return LayerNorm.apply(tape, x, gamma, beta, epsilon);
  }
}
