package dreambooth4j.model;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Gelu;
import dreambooth4j.engine.op.QuickGelu;
import dreambooth4j.engine.op.Swiglu;

/** Two linear layers of a transformer and what lies between them: [.., width] to the same. */
record FeedForward(Dense in, Dense out, Activation activation) {
  /**
   * Declares it under the names that transformers writes.
   *
   * @param scope of the transformer's layer
   * @param inner numbers between the two layers
   */
  static FeedForward of(Scope scope, int width, int inner, Activation activation) {
    boolean gated = activation == Activation.SWIGLU;
    return new FeedForward(
        scope.dense(gated ? "mlp.weights_in" : "mlp.fc1", width, gated ? 2 * inner : inner, true),
        scope.dense(gated ? "mlp.weights_out" : "mlp.fc2", inner, width, true),
        activation);
  }

  Var forward(Tape tape, Var x) {
    Var fed = in.forward(tape, x);
    fed =
        switch (activation) {
          case QUICK_GELU -> QuickGelu.apply(tape, fed);
          case GELU -> Gelu.apply(tape, fed);
          case SWIGLU -> Swiglu.apply(tape, fed);
        };
    return out.forward(tape, fed);
  }
}
