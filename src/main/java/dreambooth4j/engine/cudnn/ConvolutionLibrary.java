package dreambooth4j.engine.cudnn;

import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.cudnn.Convolution.Direction;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Who computes convolutions, one of several algorithms at a time: cuDNN, or a test's stand-in. */
interface ConvolutionLibrary {
  /** The most bytes that a call may take as its workspace. */
  long WORKSPACE_BYTES = 256L << 20;

  /** Algorithms that give the same bits each time, by number. */
  List<Integer> algorithms(Direction direction);

  /**
   * Bytes that an algorithm wants as its workspace.
   *
   * @throws IllegalStateException where it cannot do this convolution
   */
  long workspaceBytes(Convolution shape, Direction direction, int algorithm);

  /**
   * Computes {@code result} from two operands: y from x and weight, dx from dy and weight, the
   * weight's gradient from x and dy.
   *
   * @param add whether to add to what is there
   * @param workspace U8 of as many bytes as it wants, or null for none
   */
  void run(
      Convolution shape,
      Direction direction,
      int algorithm,
      Tensor first,
      Tensor second,
      Tensor result,
      boolean add,
      @Nullable Tensor workspace);
}
