package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.function.Supplier;

/**
 * Turns noise into a picture in a few steps, asking the network at each. Elementwise, so any layout
 * will do.
 *
 * <pre>{@code
 * sampler.begin(30);
 * x = noise times initNoiseSigma
 * for each i of timesteps:
 *   x = sampler.step(arena, network(sampler.scaleModelInput(arena, x, i), timesteps[i]), x, i, noise)
 * }</pre>
 *
 * <p>All steps of a run are given the same arena, which outlives it; what a sampler remembers from
 * step to step it makes there itself, so that every tensor given to it is only borrowed for the
 * call. {@link #close} lets go of what it remembers, and comes before the arena's. The coefficients
 * of a step are computed on the host in double.
 */
public interface Sampler extends AutoCloseable {
  /**
   * Starts a run and forgets the last one.
   *
   * @param steps from 1 to the number of timesteps of training
   * @throws dreambooth4j.Problem if the sampler cannot take that many
   */
  void begin(int steps);

  /**
   * The timesteps to ask the network at, in order; some samplers ask more often than {@code steps},
   * some between two timesteps of training. A copy.
   */
  double[] timesteps();

  /** What unit noise is multiplied by to give the first x. */
  default double initNoiseSigma() {
    return 1;
  }

  /**
   * What the network is to see at step {@code i}.
   *
   * @return F32, as x: x with one more holder, or a new tensor in {@code arena}; either way the
   *     caller releases it
   */
  default Tensor scaleModelInput(Arena arena, Tensor x, int i) {
    return x.retain();
  }

  /**
   * Takes step {@code i}; steps are taken in order.
   *
   * @param modelOutput F32, what the network said, after guidance
   * @param x as modelOutput, the sample before the step (not its scaled form)
   * @param freshNoise unit normal noise as x, handed over; called at most once
   * @return the sample after the step, as x, in {@code arena}, held by the caller
   */
  Tensor step(Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise);

  /** Lets go of what it remembers. */
  @Override
  default void close() {}
}
