package dreambooth4j.engine;

/**
 * Processes that train one model together, as far as the engine has to know them. Each has a
 * number, its rank, from 0. All make the same calls in the same order; what a call has begun is
 * done when {@link #finish} returns, and until then the tensors are undefined and held by their
 * callers' buffers.
 */
public interface Peers {
  /** The number of this process, from 0. */
  int rank();

  /** How many there are. */
  int size();

  /** Begins to add up a tensor over all of them, in place: then it has the same bits everywhere. */
  void begin(Tensor tensor);

  /** As {@link #begin(Tensor)} for one of them alone; on the others the tensor is undefined. */
  void reduce(Tensor tensor, int owner);

  /** Begins to give all of them the content that a tensor has in one. */
  void broadcast(Tensor tensor, int owner);

  /** Waits for all that has begun. */
  void finish();
}
