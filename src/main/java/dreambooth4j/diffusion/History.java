package dreambooth4j.diffusion;

import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.List;

/** The last few tensors of a multistep sampler, which holds them. */
final class History {
  private final int length;
  private final List<Tensor> newestFirst = new ArrayList<>();

  History(int length) {
    this.length = length;
  }

  /** Takes {@code tensor} over; beyond its length lets go of the oldest. */
  void add(Tensor tensor) {
    newestFirst.add(0, tensor);
    if (newestFirst.size() > length) {
      newestFirst.remove(length).release();
    }
  }

  /** The newest for 0, the one before it for 1. Stays held here. */
  Tensor get(int back) {
    return newestFirst.get(back);
  }

  int size() {
    return newestFirst.size();
  }

  void clear() {
    newestFirst.forEach(Tensor::release);
    newestFirst.clear();
  }
}
