package dreambooth4j.engine;

/** One of several processes of which the others have gradients of zero and tell nothing. */
public class SilentPeers implements Peers {
  private final int rank;
  private final int size;

  /** Process number {@code rank}, from 0, of {@code size}. */
  public SilentPeers(int rank, int size) {
    this.rank = rank;
    this.size = size;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public void begin(Tensor tensor) {}

  @Override
  public void reduce(Tensor tensor, int owner) {}

  @Override
  public void broadcast(Tensor tensor, int owner) {}

  @Override
  public void finish() {}
}
