// The combined loss and its gradient in one pass over prediction and target:
//   w[i]     = 1 / I for the I instance rows, 1 / P for the P prior rows behind them,
//              times of_timestep[timestep[i]] (min-SNR), times of_row[i]
//   instance = sum over instance rows of w[i] mean((prediction[i] - target[i])^2), prior likewise
//   total    = instance + lambda prior
//   dprediction[i] = fraction scale 2 w[i] (lambda if prior) (prediction[i] - target[i]) / n
//
// in   prediction [B, n] of the storage type, target [B, n] fp32, timesteps [B], of_timestep
//      [steps], of_row [B] fp32, lambda [1], fraction [1] = 1 / batches of the step, scale [1] =
//      the loss scale of fp16
// out  dprediction [B, n]; its first element is NaN where total is not finite, so that no update
//      follows. losses [3] fp32 += fraction (total, instance, prior)
// work partial [B, chunks] fp64
//
// versions
//   1  a block has a chunk of a row; a second launch of one block adds up, in a fixed order.
//
// run    engine.kernel.LossKernels; check: ./mvnw -Pkernels verify, LossChecks
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

template <class Real>
__device__ __forceinline__ Real row_weight(int row, int rows, int instances,
                                           const i64* timesteps, const float* of_timestep,
                                           const float* of_row) {
  Real weight = 1 / (Real)(row < instances ? instances : rows - instances);
  return weight * of_timestep[timesteps[row]] * of_row[row];
}

template <int V, class T>
__device__ __forceinline__ void loss(const T* prediction, const float* target,
                                     const i64* timesteps, const float* of_timestep,
                                     const float* of_row, const float* lambda,
                                     const float* fraction, const float* scale, T* gradient,
                                     double* partial, int n, int instances) {
  __shared__ double slots[32];
  int row = blockIdx.y;
  float weight = row_weight<float>(row, gridDim.y, instances, timesteps, of_timestep, of_row);
  if (row >= instances) weight *= *lambda;
  float slope = *fraction * *scale * 2 * weight / n, sum = 0;
  i64 from = (i64)row * n;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n / V; i += gridDim.x * blockDim.x) {
    float p[V], t[V];
    i64 at = from + (i64)i * V;
    load<V>(prediction + at, p);
#pragma unroll
    for (int k = 0; k < V; k += V % 4 == 0 ? 4 : 1) {
      load<V % 4 == 0 ? 4 : 1>(target + at + k, t + k);
    }
#pragma unroll
    for (int k = 0; k < V; k++) {
      float d = p[k] - t[k];
      sum += d * d;
      p[k] = slope * d;
    }
    store<V>(gradient + at, p);
  }
  double all = block_sum((double)sum, slots);
  if (threadIdx.x == 0) partial[row * gridDim.x + blockIdx.x] = all;
}

template <class T>
__device__ __forceinline__ void finish(const double* partial, const i64* timesteps,
                                       const float* of_timestep, const float* of_row,
                                       const float* lambda, const float* fraction, T* gradient,
                                       float* losses, int rows, int chunks, int n,
                                       int instances) {
  __shared__ double slots[32];
  double instance = 0, prior = 0;
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    double sum = 0;
    for (int i = 0; i < chunks; i++) sum += partial[row * chunks + i];
    double error =
        row_weight<double>(row, rows, instances, timesteps, of_timestep, of_row) * sum / n;
    if (row < instances) {
      instance += error;
    } else {
      prior += error;
    }
  }
  instance = block_sum(instance, slots);
  prior = block_sum(prior, slots);
  if (threadIdx.x == 0) {
    float total = (float)(instance + *lambda * prior);
    losses[0] += *fraction * total;
    losses[1] += *fraction * (float)instance;
    losses[2] += *fraction * (float)prior;
    if (!(total - total == 0)) from_float(total - total, gradient[0]);
  }
}

#define PRIOR_LOSS(NAME, T, V)                                                                  \
  extern "C" __global__ void __launch_bounds__(256) prior_loss_##NAME(                          \
      const T* prediction, const float* target, const i64* timesteps, const float* of_timestep, \
      const float* of_row, const float* lambda, const float* fraction, const float* scale,      \
      T* gradient, double* partial, int n, int instances) {                                     \
    loss<V>(prediction, target, timesteps, of_timestep, of_row, lambda, fraction, scale,        \
            gradient, partial, n, instances);                                                   \
  }

#define PRIOR_LOSS_FINISH(T)                                                                    \
  extern "C" __global__ void __launch_bounds__(128) prior_loss_finish_##T(                      \
      const double* partial, const i64* timesteps, const float* of_timestep,                    \
      const float* of_row, const float* lambda, const float* fraction, T* gradient,             \
      float* losses, int rows, int chunks, int n, int instances) {                              \
    finish(partial, timesteps, of_timestep, of_row, lambda, fraction, gradient, losses, rows,   \
           chunks, n, instances);                                                               \
  }

PRIOR_LOSS(f32, f32, 4)
PRIOR_LOSS(bf16, bf16, 8)
PRIOR_LOSS(f16, f16, 8)
PRIOR_LOSS(f32_odd, f32, 1)
PRIOR_LOSS(bf16_odd, bf16, 1)
PRIOR_LOSS(f16_odd, f16, 1)
PRIOR_LOSS_FINISH(f32)
PRIOR_LOSS_FINISH(bf16)
PRIOR_LOSS_FINISH(f16)
