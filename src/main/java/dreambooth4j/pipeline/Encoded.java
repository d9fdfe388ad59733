package dreambooth4j.pipeline;

import dreambooth4j.weights.TensorCache;
import java.util.Collection;
import java.util.List;

/** What is encoded once of each T. */
interface Encoded<T> {
  /** Where it is kept. */
  TensorCache cache();

  /** Which of these are not there yet. */
  List<T> missing(Collection<T> all);

  /** Encodes one into the cache, unless it is there. */
  void fill(T one);
}
