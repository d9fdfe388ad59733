package dreambooth4j.engine.op;

import dreambooth4j.engine.cudnn.Convolution;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

/**
 * What a convolution's kernel sees at each place, as the rows of a matrix: im2col (Chellapilla et
 * al. 2006) of channels-last images, and its adjoint.
 */
final class Patches {
  private final long[] images;
  private final long[] kernel;
  private final long[] output;
  private final int stride;
  private final int padding;

  Patches(Convolution shape) {
    images = shape.inputShape();
    kernel = new long[] {shape.kernelHeight(), shape.kernelWidth()};
    output = shape.outputShape();
    stride = shape.stride();
    padding = shape.padding();
  }

  private long paddedHeight() {
    return images[1] + 2L * padding;
  }

  private long paddedWidth() {
    return images[2] + 2L * padding;
  }

  private long height() {
    return output[1];
  }

  private long width() {
    return output[2];
  }

  /** Pixels of all images of the output: the rows of the matrix. */
  long rows() {
    return images[0] * height() * width();
  }

  /** A new matrix [rows, kh·kw·C] of images x. */
  Tensor of(Tensor x) {
    long channels = images[3];
    Tensor padded = x.new_zeros(paddedShape());
    inner(padded).copy_(x);
    long line = paddedWidth() * channels;
    return padded
        .as_strided(
            new long[] {images[0], height(), width(), kernel[0], kernel[1], channels},
            new long[] {paddedHeight() * line, stride * line, stride * channels, line, channels, 1})
        .reshape(rows(), kernel[0] * kernel[1] * channels);
  }

  /** New images, each pixel the sum of the places of the matrix that it went to. */
  Tensor sums(Tensor matrix) {
    Tensor padded = matrix.new_zeros(paddedShape());
    long channels = images[3];
    long line = paddedWidth() * channels;
    long[] shape = {images[0], height(), width(), channels};
    long[] to = {paddedHeight() * line, stride * line, stride * channels, 1};
    long row = kernel[0] * kernel[1] * channels;
    long[] from = {height() * width() * row, width() * row, row, 1};
    for (long i = 0; i < kernel[0]; i++) {
      for (long j = 0; j < kernel[1]; j++) {
        padded
            .as_strided(shape, to, new LongOptional(i * line + j * channels))
            .add_(matrix.as_strided(shape, from, new LongOptional((i * kernel[1] + j) * channels)));
      }
    }
    return inner(padded).contiguous();
  }

  private Tensor inner(Tensor padded) {
    return padded.narrow(1, padding, images[1]).narrow(2, padding, images[2]);
  }

  private long[] paddedShape() {
    return new long[] {images[0], paddedHeight(), paddedWidth(), images[3]};
  }
}
