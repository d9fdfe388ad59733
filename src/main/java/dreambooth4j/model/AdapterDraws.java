package dreambooth4j.model;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.random.CounterRandom;

/** The numbers that adapters begin with: a function of seed and name. */
record AdapterDraws(Arena arena, long seed) {
  /** Draws evenly from -bound to bound. */
  void uniform(Parameter parameter, double bound) {
    CounterRandom random = CounterRandom.at(seed, parameter.name(), 0, 0);
    float[] values = new float[Math.toIntExact(parameter.count())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (bound * (2 * random.uniform() - 1));
    }
    set(parameter, values);
  }

  /** Draws from a normal distribution around 0. */
  void normal(Parameter parameter, double deviation) {
    float[] values = new float[Math.toIntExact(parameter.count())];
    CounterRandom.at(seed, parameter.name(), 0, 0).normal(values, 0, values.length);
    for (int i = 0; i < values.length; i++) {
      values[i] *= (float) deviation;
    }
    set(parameter, values);
  }

  private void set(Parameter parameter, float[] values) {
    Tensor drawn = arena.floats(parameter.name(), values, parameter.fileShape());
    parameter.read(drawn);
    drawn.release();
  }
}
