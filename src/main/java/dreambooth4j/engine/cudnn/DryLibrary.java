package dreambooth4j.engine.cudnn;

import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.cudnn.Convolution.Direction;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a plan takes cuDNN for: one algorithm, which does nothing and wants as much workspace as is
 * allowed. What cuDNN will want is only known where it is.
 */
final class DryLibrary implements ConvolutionLibrary {
  @Override
  public List<Integer> algorithms(Direction direction) {
    return List.of(0);
  }

  @Override
  public long workspaceBytes(Convolution shape, Direction direction, int algorithm) {
    return WORKSPACE_BYTES;
  }

  @Override
  public void run(
      Convolution shape,
      Direction direction,
      int algorithm,
      Tensor first,
      Tensor second,
      Tensor result,
      boolean add,
      @Nullable Tensor workspace) {
    // the tensors are counted, and have no content
  }
}
