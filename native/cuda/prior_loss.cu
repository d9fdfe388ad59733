// The combined loss and its gradient in one pass over prediction and target:
//   w[i]    = 1 / I for the I instance rows, lambda / P for the P prior rows behind them,
//             times ofTimestep[timestep[i]] (min-SNR), times ofRow[i]
//   errors[i] = w[i] mean((prediction[i] - target[i])^2);  loss = sum of errors
//   dprediction[i] = share 2 w[i] (prediction[i] - target[i]) / n
//
// in   prediction [B, n] of the storage type, target [B, n] fp32, timesteps [B], ofTimestep [steps],
//      ofRow [B] fp32 (each may be null), share [1] fp32: 1 / batches of the step, times the loss
//      scale of fp16
// out  dprediction [B, n], errors [B], losses [3] fp32 = total, instance, prior / lambda
// work partial [B, chunks] fp64
//
// versions
//   1  a block has a chunk of a row; a second launch of one block adds up, in a fixed order.
//
// run    engine.kernel.LossKernels; check: ./mvnw -Pkernels verify, LossChecks
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

template <class Real>
__device__ __forceinline__ Real row_weight(int row, int rows, int instances, Real lambda,
                                           const i64* timesteps, const float* of_timestep,
                                           const float* of_row) {
  Real weight = row < instances ? 1 / (Real)instances : lambda / (rows - instances);
  if (of_timestep != nullptr) weight *= of_timestep[timesteps[row]];
  if (of_row != nullptr) weight *= of_row[row];
  return weight;
}

template <int V, class T>
__device__ __forceinline__ void loss(const T* prediction, const float* target,
                                     const i64* timesteps, const float* of_timestep,
                                     const float* of_row, const float* share, T* gradient,
                                     double* partial, int n, int instances, float lambda) {
  __shared__ double slots[32];
  int row = blockIdx.y;
  float weight = row_weight<float>(row, gridDim.y, instances, lambda, timesteps, of_timestep, of_row);
  float slope = *share * 2 * weight / n, sum = 0;
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

extern "C" __global__ void __launch_bounds__(128)
    prior_loss_finish(const double* partial, const i64* timesteps, const float* of_timestep,
                      const float* of_row, float* errors, float* losses, int rows, int chunks,
                      int n, int instances, float lambda) {
  __shared__ double slots[32];
  double instance = 0, prior = 0;
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    double sum = 0;
    for (int i = 0; i < chunks; i++) sum += partial[row * chunks + i];
    double weight =
        row_weight<double>(row, rows, instances, lambda, timesteps, of_timestep, of_row);
    float error = (float)(weight * sum / n);
    errors[row] = error;
    if (row < instances) {
      instance += error;
    } else {
      prior += error;
    }
  }
  instance = block_sum(instance, slots);
  prior = block_sum(prior, slots);
  if (threadIdx.x == 0) {
    losses[0] = (float)(instance + prior);
    losses[1] = (float)instance;
    losses[2] = lambda == 0 ? 0.0f : (float)(prior / lambda);
  }
}

#define PRIOR_LOSS(NAME, T, V)                                                                  \
  extern "C" __global__ void __launch_bounds__(256) prior_loss_##NAME(                          \
      const T* prediction, const float* target, const i64* timesteps, const float* of_timestep, \
      const float* of_row, const float* share, T* gradient, double* partial, int n,             \
      int instances, float lambda) {                                                            \
    loss<V>(prediction, target, timesteps, of_timestep, of_row, share, gradient, partial, n,    \
            instances, lambda);                                                                 \
  }

PRIOR_LOSS(f32, f32, 4)
PRIOR_LOSS(bf16, bf16, 8)
PRIOR_LOSS(f16, f16, 8)
PRIOR_LOSS(f32_odd, f32, 1)
PRIOR_LOSS(bf16_odd, bf16, 1)
PRIOR_LOSS(f16_odd, f16, 1)
