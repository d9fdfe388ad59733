package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.LayerNorm;

/** A layer normalisation layer over tokens [.., C]. */
record TokenNorm(Parameter gamma, Parameter beta, double epsilon) {
  Var forward(Tape tape, Var x) {
    return LayerNorm.apply(tape, x, gamma, beta, epsilon);
  }

  /** Of a + b, which goes on beside its norm. */
  LayerNorm.Normed ofSum(Tape tape, Var a, Var b) {
    return LayerNorm.ofSum(tape, a, b, gamma, beta, epsilon);
  }
}
