// Group normalisation of channels-last pictures, with SiLU after it if asked; statistics in fp32.
//
// in   x, dy [N, P, C] (P pixels), gamma, beta [C], all of the storage type; C = G groups of D
//      and where x goes on by another way too, the gradient that it has from there, other [N, P, C]
// out  y, dx [N, P, C]; mean, rstd [N, G] fp32; dgamma, dbeta [C] of the storage type
// work sums [N, G, chunks, 2] fp32 forward; the same and [N, C, chunks, 2] fp32 backward
//
// A block takes a chunk of pixels with all their channels, so that every load is a whole line; a
// thread keeps its V channels (C / V threads a pixel, R pixels at once). Sums are of x less the
// mean of the group's first pixel, so that a large mean costs no digits. Fixed order everywhere:
// the same shape gives the same bits.
//
// versions
//   2  two launches each way: sums of each chunk; then every block adds up the chunks of its sample's
//      groups and writes y or dx, x and dy from L2 the second time. Blocks behind those of dx add up
//      dgamma and dbeta, a warp a channel. SiLU's gradient is computed from x, nothing but mean, rstd
//      is kept. Not compared with version 1, which took three launches backward: neither has run.
//
// run    engine.kernel.GroupNormKernels; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

// The mean of each group's first pixel, in shared memory: near enough to the group's mean.
template <class T>
__device__ __forceinline__ void first_means(float* shared, const T* x, int c, int groups) {
  int depth = c / groups, lane = threadIdx.x & 31;
  for (int g = threadIdx.x >> 5; g < groups; g += blockDim.x >> 5) {
    float sum = 0;
    for (int i = lane; i < depth; i += 32) sum += to_float(x[g * depth + i]);
    sum = warp_sum(sum);
    if (lane == 0) shared[g] = sum / depth;
  }
  __syncthreads();
}

// What by_column left of a block's chunk, as two sums of each group: to[(group * chunks + chunk) * 2];
// a warp has a group. Channels count by their gamma where there is one.
template <class T>
__device__ __forceinline__ void by_group(const float* shared, const T* gamma, float* to, int c,
                                         int groups) {
  int depth = c / groups, lane = threadIdx.x & 31;
  for (int g = threadIdx.x >> 5; g < groups; g += blockDim.x >> 5) {
    double a = 0, b = 0;
    for (int i = g * depth + lane; i < (g + 1) * depth; i += 32) {
      float scale = gamma == nullptr ? 1.0f : to_float(gamma[i]);
      a += scale * shared[2 * i];
      b += scale * shared[2 * i + 1];
    }
    a = warp_sum(a);
    b = warp_sum(b);
    if (lane == 0) {
      float* at = to + ((i64)g * gridDim.x + blockIdx.x) * 2;
      at[0] = (float)a;
      at[1] = (float)b;
    }
  }
}

// Two sums over n pairs, in every lane of a warp.
__device__ __forceinline__ void pair_sums(const float* pairs, int n, double& a, double& b) {
  a = b = 0;
  for (int i = threadIdx.x & 31; i < n; i += 32) {
    a += pairs[2 * i];
    b += pairs[2 * i + 1];
  }
  a = warp_sum(a);
  b = warp_sum(b);
}

template <int V, class T>
__device__ __forceinline__ void group_sums(const T* x, float* work, int pixels, int c, int groups) {
  SHARED(float, shared);
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, n = blockIdx.y, depth = c / groups;
  const T* from = x + (i64)n * pixels * c;
  float first[V], sums[2][V];
  first_means(shared, from, c, groups);
#pragma unroll
  for (int k = 0; k < V; k++) {
    first[k] = row < rows ? shared[(lane * V + k) / depth] : 0;
    sums[0][k] = sums[1][k] = 0;
  }
  __syncthreads();
  Share chunk(pixels);
  if (row < rows) {
#pragma unroll 4
    for (int p = chunk.from + row; p < chunk.to; p += rows) {
      float v[V];
      load<V>(from + (i64)p * c + lane * V, v);
#pragma unroll
      for (int k = 0; k < V; k++) {
        float d = v[k] - first[k];
        sums[0][k] += d;
        sums[1][k] += d * d;
      }
    }
  }
  by_column<V, 2>(shared, sums, c, lane, row, rows);
  by_group(shared, (const T*)nullptr, work + (i64)n * groups * gridDim.x * 2, c, groups);
}

template <int V, class T>
__device__ __forceinline__ void normalise(const T* x, const T* gamma, const T* beta,
                                          const float* work, T* __restrict__ y, float* mean,
                                          float* rstd, int pixels, int c, int groups, float epsilon, int silu) {
  SHARED(float, shared);  // mean and rstd of each group, then the means of its first pixel
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, depth = c / groups, n = blockIdx.y, chunks = gridDim.x;
  float* first = shared + 2 * groups;
  first_means(first, x + (i64)n * pixels * c, c, groups);
  for (int g = threadIdx.x >> 5; g < groups; g += blockDim.x >> 5) {
    double s, q;
    pair_sums(work + ((i64)n * groups + g) * chunks * 2, chunks, s, q);
    if ((threadIdx.x & 31) == 0) {
      double share = 1.0 / ((double)depth * pixels);
      float m = (float)(first[g] + s * share);
      float r = 1.0f / sqrtf(fmaxf((float)((q - s * s * share) * share), 0.0f) + epsilon);
      shared[2 * g] = m;
      shared[2 * g + 1] = r;
      if (blockIdx.x == 0) {
        mean[n * groups + g] = m;
        rstd[n * groups + g] = r;
      }
    }
  }
  __syncthreads();
  if (row >= rows) return;
  float m[V], scale[V], shift[V];
  load<V>(gamma + lane * V, scale);
  load<V>(beta + lane * V, shift);
#pragma unroll
  for (int k = 0; k < V; k++) {
    int g = (lane * V + k) / depth;
    m[k] = shared[2 * g];
    scale[k] *= shared[2 * g + 1];
  }
  Share chunk(pixels);
#pragma unroll(V > 4 ? 4 : V > 1 ? 3 : 1)  // as many as spill nothing
  for (int p = chunk.from + row; p < chunk.to; p += rows) {
    float v[V];
    i64 at = ((i64)n * pixels + p) * c + lane * V;
    load<V>(x + at, v);
#pragma unroll
    for (int k = 0; k < V; k++) {
      v[k] = (v[k] - m[k]) * scale[k] + shift[k];
      if (silu) v[k] *= sigmoid(v[k]);
    }
    store<V>(y + at, v);
  }
}

// What backward needs of one thread's channels, and of one number of them.
template <int V, class T>
struct Channels {
  float m[V], r[V], scale[V], shift[V];
  __device__ __forceinline__ Channels(const T* gamma, const T* beta, const float* mean,
                                      const float* rstd, int channel, int n, int groups,
                                      int depth) {
    load<V>(gamma + channel, scale);
    load<V>(beta + channel, shift);
#pragma unroll
    for (int k = 0; k < V; k++) {
      int g = n * groups + (channel + k) / depth;
      m[k] = mean[g];
      r[k] = rstd[g];
    }
  }
  // x becomes the normalised number, dy the gradient before SiLU.
  __device__ __forceinline__ void before_silu(float* x, float* dy, int silu) const {
#pragma unroll
    for (int k = 0; k < V; k++) {
      x[k] = (x[k] - m[k]) * r[k];
      if (silu) {
        float z = x[k] * scale[k] + shift[k];
        float s = sigmoid(z);
        dy[k] *= s * (1 + z * (1 - s));
      }
    }
  }
};

template <int V, class T>
__device__ __forceinline__ void backward_sums(const T* dy, const T* x, const T* gamma,
                                              const T* beta, const float* mean, const float* rstd,
                                              float* of_groups, float* of_channels, int pixels,
                                              int c, int groups, int silu) {
  SHARED(float, shared);
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, n = blockIdx.y;
  Channels<V, T> at(gamma, beta, mean, rstd, lane * V, n, groups, c / groups);
  float sums[2][V];
#pragma unroll
  for (int k = 0; k < V; k++) sums[0][k] = sums[1][k] = 0;
  Share chunk(pixels);
  if (row < rows) {
#pragma unroll 2
    for (int p = chunk.from + row; p < chunk.to; p += rows) {
      float v[V], d[V];
      i64 i = ((i64)n * pixels + p) * c + lane * V;
      load<V>(x + i, v);
      load<V>(dy + i, d);
      at.before_silu(v, d, silu);
#pragma unroll
      for (int k = 0; k < V; k++) {
        sums[0][k] += d[k];
        sums[1][k] += d[k] * v[k];
      }
    }
  }
  by_column<V, 2>(shared, sums, c, lane, row, rows);
  by_group(shared, gamma, of_groups + (i64)n * groups * gridDim.x * 2, c, groups);
  if (of_channels == nullptr) return;
  for (int i = threadIdx.x; i < c; i += blockDim.x) {
    float* to = of_channels + (((i64)n * c + i) * gridDim.x + blockIdx.x) * 2;
    to[0] = shared[2 * i];
    to[1] = shared[2 * i + 1];
  }
}

// dgamma and dbeta of the channels of block `block` of those that do this: a warp has a channel.
template <class T>
__device__ __forceinline__ void parameters(const float* of_channels, T* dgamma, T* dbeta, int block,
                                           int samples, int c, int accumulate) {
  int channel = block * (blockDim.x >> 5) + (threadIdx.x >> 5), chunks = gridDim.x;
  if (channel >= c) return;
  double a = 0, b = 0;
  for (int i = threadIdx.x & 31; i < samples * chunks; i += 32) {
    int n = i / chunks;
    const float* part = of_channels + (((i64)n * c + channel) * chunks + i - n * chunks) * 2;
    a += part[0];
    b += part[1];
  }
  a = warp_sum(a);
  b = warp_sum(b);
  if ((threadIdx.x & 31) == 0) {
    give(dbeta + channel, (float)a, accumulate);
    give(dgamma + channel, (float)b, accumulate);
  }
}

// Rows of blocks: those of dx, one a sample, unless dx is null; then those of dgamma and dbeta.
template <int V, class T>
__device__ __forceinline__ void backward_dx(const T* dy, const T* other, const T* x,
                                            const T* gamma, const T* beta, const float* mean,
                                            const float* rstd, const float* of_groups,
                                            const float* of_channels, T* __restrict__ dx,
                                            T* dgamma, T* dbeta, int samples, int pixels, int c,
                                            int groups, int silu, int accumulate) {
  SHARED(float, shared);  // the means of dy gamma, and of that times the normalised number
  int n = blockIdx.y, chunks = gridDim.x, dx_rows = dx == nullptr ? 0 : samples;
  if (n >= dx_rows) {
    int block = (n - dx_rows) * gridDim.x + blockIdx.x;
    parameters(of_channels, dgamma, dbeta, block, samples, c, accumulate);
    return;
  }
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, depth = c / groups;
  double share = 1.0 / ((double)depth * pixels);
  for (int g = threadIdx.x >> 5; g < groups; g += blockDim.x >> 5) {
    double s, q;
    pair_sums(of_groups + ((i64)n * groups + g) * chunks * 2, chunks, s, q);
    if ((threadIdx.x & 31) == 0) {
      shared[2 * g] = (float)(s * share);
      shared[2 * g + 1] = (float)(q * share);
    }
  }
  __syncthreads();
  if (row >= rows) return;
  Channels<V, T> at(gamma, beta, mean, rstd, lane * V, n, groups, depth);
  float a[V], b[V];
#pragma unroll
  for (int k = 0; k < V; k++) {
    int g = (lane * V + k) / depth;
    a[k] = shared[2 * g];
    b[k] = shared[2 * g + 1];
  }
  Share chunk(pixels);
#pragma unroll 2
  for (int p = chunk.from + row; p < chunk.to; p += rows) {
    float v[V], d[V], more[V];
    i64 i = ((i64)n * pixels + p) * c + lane * V;
    load<V>(x + i, v);
    load<V>(dy + i, d);
    if (other != nullptr) load<V>(other + i, more);
    at.before_silu(v, d, silu);
#pragma unroll
    for (int k = 0; k < V; k++) {
      d[k] = at.r[k] * (at.scale[k] * d[k] - a[k] - v[k] * b[k]);
      if (other != nullptr) d[k] += more[k];
    }
    store<V>(dx + i, d);
  }
}

#define GROUP_NORM(NAME, T, V)                                                                   \
  extern "C" __global__ void __launch_bounds__(512)                                              \
      group_norm_sums_##NAME(const T* x, float* work, int pixels, int c, int groups) {           \
    group_sums<V>(x, work, pixels, c, groups);                                                   \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(512) group_norm_normalise_##NAME(                 \
      const T* x, const T* gamma, const T* beta, const float* work, T* y, float* mean,           \
      float* rstd, int pixels, int c, int groups, float epsilon, int silu) {                     \
    normalise<V>(x, gamma, beta, work, y, mean, rstd, pixels, c, groups, epsilon, silu);         \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(512) group_norm_backward_sums_##NAME(             \
      const T* dy, const T* x, const T* gamma, const T* beta, const float* mean,                 \
      const float* rstd, float* of_groups, float* of_channels, int pixels, int c, int groups,    \
      int silu) {                                                                                \
    backward_sums<V>(dy, x, gamma, beta, mean, rstd, of_groups, of_channels, pixels, c, groups,  \
                     silu);                                                                      \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(512) group_norm_backward_dx_##NAME(               \
      const T* dy, const T* other, const T* x, const T* gamma, const T* beta, const float* mean, \
      const float* rstd, const float* of_groups, const float* of_channels, T* dx, T* dgamma,     \
      T* dbeta, int samples, int pixels, int c, int groups, int silu, int accumulate) {          \
    backward_dx<V>(dy, other, x, gamma, beta, mean, rstd, of_groups, of_channels, dx, dgamma,    \
                   dbeta, samples, pixels, c, groups, silu, accumulate);                         \
  }

GROUP_NORM(f32, f32, 4)
GROUP_NORM(bf16, bf16, 8)
GROUP_NORM(f16, f16, 8)
GROUP_NORM(f32_odd, f32, 1)
GROUP_NORM(bf16_odd, bf16, 1)
GROUP_NORM(f16_odd, f16, 1)
