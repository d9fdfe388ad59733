package dreambooth4j.model;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;

/** A layer with weights that takes one value and gives one. */
@FunctionalInterface
interface Layer {
  /** Applies it. */
  Var forward(Tape tape, Var x);
}
