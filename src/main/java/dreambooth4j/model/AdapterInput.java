package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Dropout;
import dreambooth4j.engine.op.NoiseDraws;
import org.jspecify.annotations.Nullable;

/**
 * What the adapters of a component see of their layers' inputs: all, what dropout leaves, nothing.
 */
final class AdapterInput {
  private boolean off;
  private double dropout;
  private @Nullable NoiseDraws draws;

  /** Has the adapters see nothing, and change nothing, meanwhile. */
  void off(Runnable body) {
    off = true;
    try {
      body.run();
    } finally {
      off = false;
    }
  }

  /** Drops this share of what goes into each adapter in training from now on. */
  void drop(double share) {
    dropout = share;
  }

  /** What is dropped is drawn by these from now on. */
  void draw(NoiseDraws ofStep) {
    draws = ofStep;
  }

  /**
   * What an adapter is to see of its input: in training, all but what is dropped.
   *
   * @param of a weight of the adapter, whose name tells its draws from those of others
   */
  Var seen(Tape tape, Var x, Parameter of) {
    NoiseDraws known = dropping(tape);
    return known == null ? x : Dropout.apply(tape, x, known, purpose(of), dropout);
  }

  /** What {@link #seen} takes away from an input; null where it is seen as it is. */
  @Nullable Var unseen(Tape tape, Var x, Parameter of) {
    NoiseDraws known = dropping(tape);
    return known == null ? null : Dropout.rest(tape, x, known, purpose(of), dropout);
  }

  private @Nullable NoiseDraws dropping(Tape tape) {
    return dropout > 0 && tape.isRecording() ? draws : null;
  }

  private static String purpose(Parameter of) {
    return "dropout before " + of.name();
  }

  /** Whether the layers compute as if they had no adapters. */
  boolean isOff() {
    return off;
  }
}
