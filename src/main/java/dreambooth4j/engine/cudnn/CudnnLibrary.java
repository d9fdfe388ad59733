package dreambooth4j.engine.cudnn;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.cudnn.Convolution.Direction;
import java.util.List;
import java.util.function.IntSupplier;
import org.bytedeco.cuda.cudnn.cudnnContext;
import org.bytedeco.cuda.cudnn.cudnnConvolutionStruct;
import org.bytedeco.cuda.cudnn.cudnnFilterStruct;
import org.bytedeco.cuda.cudnn.cudnnTensorStruct;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.SizeTPointer;
import org.bytedeco.pytorch.global.torch_cuda;
import org.jspecify.annotations.Nullable;

/**
 * cuDNN's convolutions, on libtorch's handle for this thread, which is on its current stream.
 * Products of 16 bits are summed in F32; F32's factors are rounded to TF32 only where libtorch may
 * do so too. What cuDNN refuses is an {@link IllegalStateException} with the call and the shape.
 *
 * <p><b>Compiled, but not run on a GPU yet.</b>
 */
final class CudnnLibrary implements ConvolutionLibrary {
  private static final int ERROR_BYTES = 256;

  /**
   * Without Winograd's, whose rounding is worse than a sum's: a step must not depend on a trial.
   */
  @Override
  public List<Integer> algorithms(Direction direction) {
    return switch (direction) {
      case FORWARD ->
          List.of(
              cudnn.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
              cudnn.CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
              cudnn.CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
              cudnn.CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING);
      // Not 0, which adds in any order.
      case DATA ->
          List.of(
              cudnn.CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
              cudnn.CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING);
      // Not 0 and 3, which add in any order.
      case FILTER ->
          List.of(
              cudnn.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
              cudnn.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING);
    };
  }

  @Override
  public long workspaceBytes(Convolution shape, Direction direction, int algorithm) {
    return Native.call(
        "conv2d workspace",
        () -> {
          try (Descriptors d = new Descriptors(shape)) {
            cudnnContext handle = torch_cuda.getCudnnHandle();
            SizeTPointer bytes = new SizeTPointer(1);
            check(
                shape,
                "cudnnGetConvolution…WorkspaceSize, algorithm " + algorithm,
                () ->
                    switch (direction) {
                      case FORWARD ->
                          cudnn.cudnnGetConvolutionForwardWorkspaceSize(
                              handle, d.x, d.w, d.convolution, d.y, algorithm, bytes);
                      case DATA ->
                          cudnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
                              handle, d.w, d.y, d.convolution, d.x, algorithm, bytes);
                      case FILTER ->
                          cudnn.cudnnGetConvolutionBackwardFilterWorkspaceSize(
                              handle, d.x, d.y, d.convolution, d.w, algorithm, bytes);
                    });
            return bytes.get();
          }
        });
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
    Native.run(
        "conv2d",
        () -> {
          try (Descriptors d = new Descriptors(shape)) {
            cudnnContext handle = torch_cuda.getCudnnHandle();
            Pointer a = at(first);
            Pointer b = at(second);
            Pointer out = at(result);
            Pointer work = workspace == null ? null : at(workspace);
            long bytes = workspace == null ? 0 : workspace.count();
            FloatPointer one = new FloatPointer(1f);
            FloatPointer beta = new FloatPointer(add ? 1f : 0f);
            cudnnConvolutionStruct rule = d.convolution;
            check(
                shape,
                "cudnnConvolution " + direction + ", algorithm " + algorithm,
                () ->
                    switch (direction) {
                      case FORWARD ->
                          cudnn.cudnnConvolutionForward(
                              handle, one, d.x, a, d.w, b, rule, algorithm, work, bytes, beta, d.y,
                              out);
                      // It takes the filter first.
                      case DATA ->
                          cudnn.cudnnConvolutionBackwardData(
                              handle, one, d.w, b, d.y, a, rule, algorithm, work, bytes, beta, d.x,
                              out);
                      case FILTER ->
                          cudnn.cudnnConvolutionBackwardFilter(
                              handle, one, d.x, a, d.y, b, rule, algorithm, work, bytes, beta, d.w,
                              out);
                    });
          }
        });
  }

  private static Pointer at(Tensor tensor) {
    return tensor.handle().data_ptr();
  }

  private static void check(Convolution shape, String call, IntSupplier body) {
    int status = body.getAsInt();
    if (status != cudnn.CUDNN_STATUS_SUCCESS) {
      byte[] more = new byte[ERROR_BYTES];
      cudnn.cudnnGetLastErrorString(more, more.length);
      throw new IllegalStateException(
          "cuDNN: %s: %s (%s): %s"
              .formatted(
                  call,
                  cudnn.cudnnGetErrorString(status).getString(),
                  new String(more, java.nio.charset.StandardCharsets.UTF_8)
                      .replaceFirst("\0.*", ""),
                  shape));
    }
  }

  /** cuDNN's view of a shape, inside a {@link Native} call; a few hundred bytes on the host. */
  private static final class Descriptors implements AutoCloseable {
    final cudnnTensorStruct x = new cudnnTensorStruct();
    final cudnnTensorStruct y = new cudnnTensorStruct();
    final cudnnFilterStruct w = new cudnnFilterStruct();
    final cudnnConvolutionStruct convolution = new cudnnConvolutionStruct();

    Descriptors(Convolution s) {
      int type = dataType(s.dtype());
      tensor(s, x, type, s.images(), s.in(), s.height(), s.width());
      tensor(s, y, type, s.images(), s.out(), s.outputHeight(), s.outputWidth());
      check(s, "cudnnCreateFilterDescriptor", () -> cudnn.cudnnCreateFilterDescriptor(w));
      check(
          s,
          "cudnnSetFilter4dDescriptor",
          () ->
              cudnn.cudnnSetFilter4dDescriptor(
                  w,
                  type,
                  cudnn.CUDNN_TENSOR_NHWC,
                  s.out(),
                  s.in(),
                  s.kernelHeight(),
                  s.kernelWidth()));
      check(
          s,
          "cudnnCreateConvolutionDescriptor",
          () -> cudnn.cudnnCreateConvolutionDescriptor(convolution));
      check(
          s,
          "cudnnSetConvolution2dDescriptor",
          () ->
              cudnn.cudnnSetConvolution2dDescriptor(
                  convolution,
                  s.padding(),
                  s.padding(),
                  s.stride(),
                  s.stride(),
                  1,
                  1,
                  cudnn.CUDNN_CROSS_CORRELATION,
                  cudnn.CUDNN_DATA_FLOAT));
      check(
          s,
          "cudnnSetConvolutionMathType",
          () -> cudnn.cudnnSetConvolutionMathType(convolution, mathType(s.dtype())));
    }

    private static void tensor(
        Convolution s, cudnnTensorStruct t, int type, int n, int c, int h, int w) {
      check(s, "cudnnCreateTensorDescriptor", () -> cudnn.cudnnCreateTensorDescriptor(t));
      check(
          s,
          "cudnnSetTensor4dDescriptor",
          () -> cudnn.cudnnSetTensor4dDescriptor(t, cudnn.CUDNN_TENSOR_NHWC, type, n, c, h, w));
    }

    private static int dataType(DType dtype) {
      return switch (dtype) {
        case F32 -> cudnn.CUDNN_DATA_FLOAT;
        case F16 -> cudnn.CUDNN_DATA_HALF;
        case BF16 -> cudnn.CUDNN_DATA_BFLOAT16;
        default -> throw new IllegalArgumentException("no convolutions of " + dtype);
      };
    }

    private static int mathType(DType dtype) {
      if (dtype.isHalf()) {
        return cudnn.CUDNN_TENSOR_OP_MATH;
      }
      return Platform.multipliedIn(dtype).equals("TF32")
          ? cudnn.CUDNN_DEFAULT_MATH
          : cudnn.CUDNN_FMA_MATH;
    }

    @Override
    public void close() {
      cudnn.cudnnDestroyConvolutionDescriptor(convolution);
      cudnn.cudnnDestroyFilterDescriptor(w);
      cudnn.cudnnDestroyTensorDescriptor(y);
      cudnn.cudnnDestroyTensorDescriptor(x);
    }
  }
}
