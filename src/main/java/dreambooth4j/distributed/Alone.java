package dreambooth4j.distributed;

import dreambooth4j.engine.Tensor;
import java.util.List;

/** One process by itself: nothing to wait for, nothing to add. */
final class Alone implements Ranks {
  static final Alone INSTANCE = new Alone();

  private Alone() {}

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int size() {
    return 1;
  }

  @Override
  public int here() {
    return 1;
  }

  @Override
  public void begin(Tensor tensor) {}

  @Override
  public void finish() {}

  @Override
  public List<String> gather(String mine) {
    return List.of(mine);
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
