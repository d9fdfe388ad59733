// The combined loss and its gradient in one pass over prediction and target:
//   w[i]     = 1 / I for the I instance rows, 1 / P for the P prior rows behind them,
//              times of_timestep[timestep[i]] (min-SNR), times of_row[i]
//   instance = sum over instance rows of w[i] mean(mask[i] cost(prediction[i] - target[i])), prior
//              likewise; cost and slope as engine/LossForm has them
//   total    = a instance + b prior; a = 1, b = lambda or, together, a = k I / B, b = k P / B with
//              k = (I + lambda P) / B
//   dprediction[i] = fraction scale w[i] (a or b) mask[i] slope(prediction[i] - target[i]) / n
//
// in   prediction [B, n] of the storage type, target [B, n] fp32, timesteps [B], of_timestep
//      [steps], of_row [B] fp32, lambda [1], fraction [1] = 1 / batches of the step, scale [1] =
//      the loss scale of fp16; form the ordinal of LossForm, thresholds [steps] its c of each
//      timestep or null for 1, mask [B, n / channels] or null for 1
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

// What the mean of each half counts in the total.
struct Halves {
  float instance, prior;
  __device__ __forceinline__ Halves(float lambda, int rows, int instances, int together) {
    int priors = rows - instances;
    float both = (instances + lambda * priors) / rows;
    instance = together ? both * instances / rows : 1.0f;
    prior = together ? both * priors / rows : lambda;
  }
};

// What being off by d costs, and the slope of that: LossForm's, by its kernelForm.
__device__ __forceinline__ float cost(int form, float d, float c, float& slope) {
  float size = fabsf(d);
  float root, least, scale;
  switch (form) {
    case 1:
    case 2:
      root = sqrtf(d * d + c * c);
      scale = form == 1 ? 2 * c : 2.0f;
      slope = scale * d / root;
      return scale * (d * d / (root + c));
    case 3:
      slope = d > 0 ? 1.0f : d < 0 ? -1.0f : d;
      return size;
    case 4:
      slope = tanhf(d);
      return size + log1pf(expf(-2 * size)) - 0.693147181f;
    case 5:
      least = fminf(size, c);
      slope = d < 0 ? -least : least;
      return least * (size - 0.5f * least);
    default:
      slope = 2 * d;
      return d * d;
  }
}

template <int V, class T>
__device__ __forceinline__ void loss(const T* prediction, const float* target,
                                     const i64* timesteps, const float* of_timestep,
                                     const float* of_row, const float* lambda,
                                     const float* fraction, const float* scale, T* gradient,
                                     double* partial, int n, int instances, int together, int form,
                                     const float* thresholds, const float* mask, int channels) {
  __shared__ double slots[32];
  int row = blockIdx.y;
  float weight = row_weight<float>(row, gridDim.y, instances, timesteps, of_timestep, of_row);
  Halves halves(*lambda, gridDim.y, instances, together);
  weight *= row < instances ? halves.instance : halves.prior;
  float c = thresholds == nullptr ? 1.0f : thresholds[timesteps[row]];
  float factor = *fraction * *scale * weight / n, sum = 0;
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
      float slope, seen = 1;
      if (mask != nullptr) seen = mask[(from + (i64)i * V + k) / channels];
      sum += seen * cost(form, p[k] - t[k], c, slope);
      p[k] = factor * seen * slope;
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
                                       float* losses, int rows, int chunks, int n, int instances,
                                       int together) {
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
    Halves halves(*lambda, rows, instances, together);
    float total = (float)(halves.instance * instance + halves.prior * prior);
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
      T* gradient, double* partial, int n, int instances, int together, int form,               \
      const float* thresholds, const float* mask, int channels) {                               \
    loss<V>(prediction, target, timesteps, of_timestep, of_row, lambda, fraction, scale,        \
            gradient, partial, n, instances, together, form, thresholds, mask, channels);       \
  }

#define PRIOR_LOSS_FINISH(T)                                                                    \
  extern "C" __global__ void __launch_bounds__(128) prior_loss_finish_##T(                      \
      const double* partial, const i64* timesteps, const float* of_timestep,                    \
      const float* of_row, const float* lambda, const float* fraction, T* gradient,             \
      float* losses, int rows, int chunks, int n, int instances, int together) {                \
    finish(partial, timesteps, of_timestep, of_row, lambda, fraction, gradient, losses, rows,   \
           chunks, n, instances, together);                                                     \
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
