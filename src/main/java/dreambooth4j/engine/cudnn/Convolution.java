package dreambooth4j.engine.cudnn;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Tensor;

/**
 * What decides a convolution's plan: sizes and type. Images lie as [images, height, width, in] and
 * filters as [out, kernelHeight, kernelWidth, in], which is cuDNN's NHWC; stride and zero padding
 * are the same on both axes.
 */
public record Convolution(
    DType dtype,
    int images,
    int height,
    int width,
    int in,
    int out,
    int kernelHeight,
    int kernelWidth,
    int stride,
    int padding) {
  /** Which of its three products. */
  public enum Direction {
    /** y from x and the weight. */
    FORWARD,
    /** dx from dy and the weight. */
    DATA,
    /** The weight's gradient from x and dy. */
    FILTER
  }

  /** That of images x [B, H, W, I] with a weight [O, kh, kw, I]. */
  public static Convolution of(Tensor x, Parameter weight, int stride, int padding) {
    long[] filter = weight.shape();
    return new Convolution(
        x.dtype(),
        Math.toIntExact(x.size(0)),
        Math.toIntExact(x.size(1)),
        Math.toIntExact(x.size(2)),
        Math.toIntExact(x.size(3)),
        Math.toIntExact(filter[0]),
        Math.toIntExact(filter[1]),
        Math.toIntExact(filter[2]),
        stride,
        padding);
  }

  /** Height of y. */
  public int outputHeight() {
    return (height + 2 * padding - kernelHeight) / stride + 1;
  }

  /** Width of y. */
  public int outputWidth() {
    return (width + 2 * padding - kernelWidth) / stride + 1;
  }

  /** Shape of x and dx. */
  public long[] inputShape() {
    return new long[] {images, height, width, in};
  }

  /** Shape of y and dy. */
  public long[] outputShape() {
    return new long[] {images, outputHeight(), outputWidth(), out};
  }

  /** Shape of the weight. */
  long[] filterShape() {
    return new long[] {out, kernelHeight, kernelWidth, in};
  }

  /** What a plan is remembered by. */
  String key(Direction direction) {
    return "%s %s x[%d,%d,%d,%d] w[%d,%d,%d,%d] stride %d padding %d"
        .formatted(
            direction,
            Platform.multipliedIn(dtype),
            images,
            height,
            width,
            in,
            out,
            kernelHeight,
            kernelWidth,
            in,
            stride,
            padding);
  }
}
