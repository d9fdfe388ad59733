package dreambooth4j.engine;

import java.util.List;

/**
 * A rule that looks at all gradients of all groups, and changes what is remembered, before it
 * changes a weight.
 */
interface SurveyingRule extends UpdateRule {
  /**
   * Looks at a part of the weights; arguments as for {@link #update}, which comes after with the
   * same gradients.
   *
   * @return sums, to be added up over all parts
   */
  double[] survey(Step step, Tensor gradients, List<Tensor> moments);

  /** What the groups' numbers are in this step, by these sums over all. */
  List<Double> next(Step step, double[] sums);
}
