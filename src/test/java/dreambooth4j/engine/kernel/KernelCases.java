package dreambooth4j.engine.kernel;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.OpCases;
import java.util.List;
import java.util.stream.Stream;

/** All kernels that take an op's place, on odd sizes and on even ones, in every storage type. */
final class KernelCases {
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
                        Stream.of(perSample(dtype, 2, 3, 5, 7), perSample(dtype, 3, 16, 9, 64)))
                    .flatMap(each -> each))
        .toList();
  }

  private static KernelCheck geglu(DType dtype, int b, int n, int width) {
    return new KernelCase(
        OpCases.geglu(b, n, width),
        dtype,
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
          Tensor work = memory.blank(DType.F32, AddKernels.workElements(dy));
          AddKernels.perSample(device, inputs.get(0), inputs.get(1), y);
          AddKernels.vectorGradient(device, dy, work, dvector);
          return List.of(y, dy, dvector);
        });
  }

  private static KernelCheck layerNorm(DType dtype, int b, int n, int c) {
    return new KernelCase(
        OpCases.layerNorm(b, n, c),
        dtype,
        (device, memory, inputs, parameters, dy) -> {
          Tensor x = inputs.get(0);
          Tensor gamma = parameters.get(0);
          Tensor y = memory.blank(dtype, dy.shape());
          Tensor mean = memory.blank(DType.F32, b, n);
          Tensor rstd = memory.blank(DType.F32, b, n);
          LayerNormKernels.forward(
              device, x, null, gamma, parameters.get(1), 1e-5, null, y, mean, rstd);
          Back back = new Back(memory, dtype, x);
          LayerNormKernels.backward(
              device,
              dy,
              null,
              x,
              gamma,
              mean,
              rstd,
              back.work,
              back.dx,
              back.dgamma,
              back.dbeta,
              false);
          return List.of(y, back.dx, back.dgamma, back.dbeta);
        });
  }

  /** The sum goes on beside its norm, so that gradients come back to it from both. */
  private static KernelCheck residualNorm(DType dtype, int b, int n, int c) {
    return new KernelCase(
        OpCases.residualNorm(b, n, c),
        dtype,
        (device, memory, inputs, parameters, dy) -> {
          Tensor x = inputs.get(0);
          Tensor gamma = parameters.get(0);
          Tensor y = memory.blank(dtype, dy.shape());
          Tensor sum = memory.blank(dtype, dy.shape());
          Tensor mean = memory.blank(DType.F32, b, n);
          Tensor rstd = memory.blank(DType.F32, b, n);
          LayerNormKernels.forward(
              device, x, inputs.get(1), gamma, parameters.get(1), 1e-5, sum, y, mean, rstd);
          AddKernels.add(device, y, sum, y);
          Back back = new Back(memory, dtype, x);
          back.dgamma.zero_();
          back.dbeta.zero_();
          LayerNormKernels.backward(
              device,
              dy,
              dy,
              sum,
              gamma,
              mean,
              rstd,
              back.work,
              back.dx,
              back.dgamma,
              back.dbeta,
              true);
          return List.of(y, back.dx, back.dx, back.dgamma, back.dbeta);
        });
  }

  /** What the way back through a layer norm writes. */
  private static final class Back {
    final Tensor work;
    final Tensor dx;
    final Tensor dgamma;
    final Tensor dbeta;

    Back(Memory memory, DType dtype, Tensor x) {
      work = memory.blank(DType.F32, LayerNormKernels.workElements(x));
      dx = memory.blank(dtype, x.shape());
      dgamma = memory.blank(dtype, x.size(-1));
      dbeta = memory.blank(dtype, x.size(-1));
    }
  }

  private static Stream<KernelCheck> groupNorms(DType dtype) {
    return Stream.of(
        groupNorm(dtype, 2, 3, 5, 6, 2, false),
        groupNorm(dtype, 1, 7, 3, 8, 8, true),
        groupNorm(dtype, 3, 1, 1, 12, 3, true),
        groupNorm(dtype, 2, 13, 11, 20, 4, true),
        groupNorm(dtype, 2, 16, 17, 320, 32, true),
        groupNorm(dtype, 1, 2, 3, 1280, 32, false));
  }

  private static KernelCase groupNorm(
      DType dtype, int b, int h, int w, int c, int groups, boolean silu) {
    GroupNormKernels.Norm norm = new GroupNormKernels.Norm(groups, 1e-5, silu);
    return new KernelCase(
        OpCases.groupNorm(b, h, w, c, groups, silu),
        dtype,
        (device, memory, inputs, parameters, dy) -> {
          Tensor x = inputs.get(0);
          Tensor gamma = parameters.get(0);
          Tensor beta = parameters.get(1);
          Tensor work = memory.blank(DType.F32, GroupNormKernels.workElements(x, groups));
          Tensor y = memory.blank(dtype, x.shape());
          Tensor mean = memory.blank(DType.F32, b, groups);
          Tensor rstd = memory.blank(DType.F32, b, groups);
          Tensor dx = memory.blank(dtype, x.shape());
          Tensor dgamma = memory.blank(dtype, c);
          Tensor dbeta = memory.blank(dtype, c);
          GroupNormKernels.forward(device, norm, x, gamma, beta, work, y, mean, rstd);
          GroupNormKernels.backward(
              device, norm, dy, x, gamma, beta, mean, rstd, work, dx, dgamma, dbeta, false);
          return List.of(y, dx, dgamma, dbeta);
        });
  }
}
