package dreambooth4j.distributed;

import dreambooth4j.engine.Tensor;
import java.util.Collections;
import java.util.List;

/**
 * The first of some ranks whose others are not there: nothing to wait for, nothing to add. Of one,
 * a process by itself; of more, what a plan is made for.
 */
record Absent(int size) implements Ranks {
  static final Absent ALONE = new Absent(1);

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int here() {
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

  @Override
  public List<String> gather(String mine) {
    return Collections.nCopies(size, mine);
  }

  @Override
  public boolean any(boolean mine) {
    return mine;
  }

  @Override
  public boolean saves() {
    return true;
  }

  @Override
  public void fail(String why) {}

  @Override
  public void close() {}
}
