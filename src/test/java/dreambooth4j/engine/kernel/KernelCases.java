package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.ColumnSums.Slice;
import dreambooth4j.engine.op.OpCases;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.jspecify.annotations.Nullable;

/** All kernels that take an op's place, on odd sizes and on even ones, in every storage type. */
final class KernelCases {
  /** CUDA's erfcf may be off by four units in the last place, and is rounded after that. */
  private static final double GEGLU_LEAST = 6 * Closeness.rounding(DType.F32);

  private KernelCases() {}

  static List<KernelCheck> all() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(
            dtype ->
                Stream.of(
                        groupNorms(dtype),
                        Stream.of(geglu(dtype, 2, 3, 5), geglu(dtype, 1, 7, 40)),
                        Stream.of(geglu(dtype, 3, 11, 97), layerNorm(dtype, 2, 7, 5)),
                        Stream.of(layerNorm(dtype, 1, 13, 97), layerNorm(dtype, 2, 33, 320)),
                        Stream.of(residualNorm(dtype, 2, 7, 5), residualNorm(dtype, 1, 9, 1280)),
                        Stream.of(add(dtype, 2, 3), add(dtype, 33, 41)),
                        Stream.of(perSample(dtype, 2, 3, 5, 7), perSample(dtype, 3, 16, 9, 64)),
                        Stream.of(perSample(dtype, 2, 41, 13, 72), biasSum(dtype, 3, 5)),
                        Stream.of(biasSum(dtype, 1031, 40), biasSum(dtype, 531, 67)),
                        Stream.of(biasedPerSample(dtype, 3, 25, 23, 40)),
                        Stream.of(biasedPerSample(dtype, 2, 3, 5, 7)),
                        Stream.of(biasedAdd(dtype, 2, 3, 5, 7), biasedAdd(dtype, 2, 19, 9, 320)))
                    .flatMap(each -> each))
        .toList();
  }

  private static KernelCheck geglu(DType dtype, int b, int n, int width) {
    return new KernelCase(
        OpCases.geglu(b, n, width),
        dtype,
        GEGLU_LEAST,
        (device, memory, inputs, none, dy) -> {
          Tensor x = inputs.get(0);
          Tensor y = memory.blank(dtype, dy.shape());
          Tensor dx = memory.blank(dtype, x.shape());
          GegluKernels.forward(device, x, y);
          GegluKernels.backward(device, dy, x, dx);
          return List.of(y, dx);
        });
  }

  private static KernelCheck add(DType dtype, int n, int c) {
    return new KernelCase(
        OpCases.add(n, c),
        dtype,
        (device, memory, inputs, none, dy) -> {
          Tensor y = memory.blank(dtype, dy.shape());
          AddKernels.add(device, inputs.get(0), inputs.get(1), y);
          return List.of(y, dy, dy);
        });
  }

  private static KernelCheck perSample(DType dtype, int b, int h, int w, int c) {
    return new KernelCase(
        OpCases.addPerSample(b, h, w, c),
        dtype,
        (device, memory, inputs, none, dy) -> {
          Tensor y = memory.blank(dtype, dy.shape());
          Tensor dvector = memory.blank(dtype, b, c);
          AddKernels.perSample(device, inputs.get(0), null, inputs.get(1), List.of(), y);
          columnSums(device, memory, dy, b, new Slice(dvector, false), List.of());
          return List.of(y, dy, dvector);
        });
  }

  /** The gradient of a bias takes the place of what is there, and is then added to it. */
  private static KernelCheck biasSum(DType dtype, int rows, int c) {
    return new KernelCase(
        OpCases.addPerSample(1, rows, 1, c),
        dtype,
        (device, memory, inputs, none, dy) -> {
          Tensor y = memory.blank(dtype, dy.shape());
          Tensor dbias = memory.blank(dtype, 1, c);
          Tensor twice = memory.blank(dtype, 1, c);
          AddKernels.perSample(device, inputs.get(0), null, inputs.get(1), List.of(), y);
          columnSums(device, memory, dy, 1, new Slice(dbias, false), List.of());
          columnSums(device, memory, dy, 1, null, List.of(new Slice(twice, false)));
          columnSums(device, memory, dy, 1, null, List.of(new Slice(twice, true)));
          Tensor half = memory.back(twice);
          Native.run("half", () -> half.handle().mul_(new Scalar(0.5)));
          Tensor once = memory.back(dbias);
          assertThat(Closeness.relativeError(half.handle(), once.handle()))
              .isLessThanOrEqualTo(Closeness.rounding(dtype));
          return List.of(y, dy, dbias);
        });
  }

  /** Two biases beside the vectors of a batch; the second one's gradient is added to. */
  private static KernelCheck biasedPerSample(DType dtype, int b, int h, int w, int c) {
    return new KernelCase(
        OpCases.addPerSampleBiased(b, h, w, c),
        dtype,
        (device, memory, inputs, biases, dy) -> {
          Tensor y = memory.blank(dtype, dy.shape());
          Tensor dvector = memory.blank(dtype, b, c);
          Tensor first = memory.blank(dtype, c);
          Tensor second = memory.blank(dtype, c);
          second.zero_();
          AddKernels.perSample(device, inputs.get(0), null, inputs.get(1), biases, y);
          columnSums(
              device,
              memory,
              dy,
              b,
              new Slice(dvector, false),
              List.of(new Slice(first, false), new Slice(second, true)));
          return List.of(y, dy, dvector, first, second);
        });
  }

  /** A residual sum with the biases of both its layers. */
  private static KernelCheck biasedAdd(DType dtype, int b, int h, int w, int c) {
    return new KernelCase(
        OpCases.addBiased(b, h, w, c),
        dtype,
        (device, memory, inputs, biases, dy) -> {
          Tensor y = memory.blank(dtype, dy.shape());
          Tensor first = memory.blank(dtype, c);
          Tensor second = memory.blank(dtype, c);
          AddKernels.perSample(device, inputs.get(0), inputs.get(1), null, biases, y);
          columnSums(
              device,
              memory,
              dy,
              1,
              null,
              List.of(new Slice(first, false), new Slice(second, false)));
          return List.of(y, dy, dy, first, second);
        });
  }

  private static void columnSums(
      Launcher device,
      Memory memory,
      Tensor dy,
      int samples,
      @Nullable Slice ofEach,
      List<Slice> ofAll) {
    Tensor work = memory.blank(DType.F32, ColumnSums.workElements(dy, samples));
    new ColumnSums(device).sum(dy, samples, work, ofEach, ofAll);
  }

  private static KernelCheck layerNorm(DType dtype, int b, int n, int c) {
    return new KernelCase(
        OpCases.layerNorm(b, n, c),
        dtype,
        (device, memory, inputs, parameters, dy) ->
            new Norm(memory, new LayerNormKernels(device, 1e-5), inputs.get(0), parameters)
                .run(dy));
  }

  /** The sum goes on beside its norm, so that it has gradients from both. */
  private static KernelCheck residualNorm(DType dtype, int b, int n, int c) {
    return new KernelCase(
        OpCases.residualNorm(b, n, c),
        dtype,
        (device, memory, inputs, parameters, dy) -> {
          LayerNormKernels kernels = new LayerNormKernels(device, 1e-5);
          Norm norm = new Norm(memory, kernels, memory.blank(dtype, dy.shape()), parameters);
          kernels.forwardOfSum(inputs.get(0), inputs.get(1), norm.of, norm.y);
          AddKernels.add(device, norm.y, norm.of.x(), norm.y);
          norm.dgamma.zero_();
          norm.dbeta.zero_();
          norm.backward(dy, dy, true);
          return List.of(norm.y, norm.dx, norm.dx, norm.dgamma, norm.dbeta);
        });
  }

  /** The tensors of a normalisation by kernels, and what they write. */
  private static final class Norm {
    final Memory memory;
    final NormKernels kernels;
    final NormKernels.Tensors of;
    final Tensor y;
    final Tensor dx;
    final Tensor dgamma;
    final Tensor dbeta;

    Norm(Memory memory, NormKernels kernels, Tensor x, List<Tensor> parameters) {
      this.memory = memory;
      this.kernels = kernels;
      of =
          new NormKernels.Tensors(
              x,
              parameters.get(0),
              parameters.get(1),
              memory.blank(DType.F32, kernels.statistics(x)),
              memory.blank(DType.F32, kernels.statistics(x)));
      y = memory.blank(x.dtype(), x.shape());
      dx = memory.blank(x.dtype(), x.shape());
      dgamma = memory.blank(x.dtype(), x.size(-1));
      dbeta = memory.blank(x.dtype(), x.size(-1));
    }

    /** Forward and backward: y, dx, dgamma and dbeta. */
    List<Tensor> run(Tensor dy) {
      long work = kernels.forwardWork(of.x());
      kernels.forward(of, work == 0 ? null : memory.blank(DType.F32, work), y);
      backward(dy, null, false);
      return List.of(y, dx, dgamma, dbeta);
    }

    void backward(Tensor dy, @Nullable Tensor other, boolean accumulate) {
      Tensor work = memory.blank(DType.F32, kernels.backwardWork(of.x()));
      kernels.backward(
          of, dy, other, work, new NormKernels.Gradients(dx, dgamma, dbeta, accumulate));
    }
  }

  private static Stream<KernelCheck> groupNorms(DType dtype) {
    return Stream.of(
        groupNorm(dtype, 2, 3, 5, 6, 2, false),
        groupNorm(dtype, 1, 7, 3, 8, 8, true),
        groupNorm(dtype, 3, 1, 1, 12, 3, true),
        groupNorm(dtype, 2, 13, 11, 20, 4, true),
        groupNorm(dtype, 2, 16, 17, 320, 32, true),
        groupNorm(dtype, 1, 2, 3, 1280, 32, false),
        groupNormAndInput(dtype, 2, 3, 5, 6, 2),
        groupNormAndInput(dtype, 2, 16, 9, 320, 32));
  }

  /** The picture goes on beside its norm, so that it has gradients from both. */
  private static KernelCheck groupNormAndInput(
      DType dtype, int b, int h, int w, int c, int groups) {
    return new KernelCase(
        OpCases.groupNormAndInput(b, h, w, c, groups),
        dtype,
        (device, memory, inputs, parameters, dy) -> {
          Tensor x = inputs.get(0);
          GroupNormKernels kernels =
              new GroupNormKernels(device, new GroupNormKernels.Norm(groups, 1e-5, true));
          Norm norm = new Norm(memory, kernels, x, parameters);
          kernels.forward(norm.of, memory.blank(DType.F32, kernels.forwardWork(x)), norm.y);
          AddKernels.add(device, norm.y, x, norm.y);
          norm.backward(dy, dy, false);
          return List.of(norm.y, norm.dx, norm.dgamma, norm.dbeta);
        });
  }

  private static KernelCase groupNorm(
      DType dtype, int b, int h, int w, int c, int groups, boolean silu) {
    GroupNormKernels.Norm norm = new GroupNormKernels.Norm(groups, 1e-5, silu);
    return new KernelCase(
        OpCases.groupNorm(b, h, w, c, groups, silu),
        dtype,
        (device, memory, inputs, parameters, dy) ->
            new Norm(memory, new GroupNormKernels(device, norm), inputs.get(0), parameters)
                .run(dy));
  }
}
