// Group normalisation of channels-last pictures, with SiLU after it if asked; statistics in fp32.
//
// in   x, dy [N, P, C] (P pixels), gamma, beta [C], all of the storage type; C = G groups of D
// out  y, dx [N, P, C]; mean, rstd [N, G] fp32; dgamma, dbeta [C] of the storage type
// work sums [N, G, chunks, 2] fp32 forward; [N, C, chunks, 2] and groups [N, G, 2] fp32 backward
//
// A block takes a chunk of pixels with all their channels, so that every load is a whole line; a
// thread keeps its V channels (C / V threads a pixel, R pixels at once). Sums are of x less the
// mean of the group's first pixel, so that a large mean costs no digits. Fixed order everywhere:
// the same shape gives the same bits.
//
// versions
//   1  forward two launches (sums; normalise, x from L2 the second time), backward three (sums by
//      channel; by group; dx). SiLU's gradient is computed from x, nothing but mean, rstd is kept.
//
// run    engine.kernel.GroupNormKernels; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

// The mean of each group's first pixel, in shared memory: near enough to the group's mean.
template <class T>
__device__ __forceinline__ void first_means(float* shared, const T* x, int c, int groups) {
  int depth = c / groups;
  for (int g = threadIdx.x; g < groups; g += blockDim.x) {
    float sum = 0;
    for (int i = g * depth; i < (g + 1) * depth; i++) sum += to_float(x[i]);
    shared[g] = sum / depth;
  }
  __syncthreads();
}

template <int V, class T>
__device__ __forceinline__ void group_sums(const T* x, float* work, int pixels, int c, int groups) {
  SHARED(float, shared);
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, depth = c / groups, n = blockIdx.y;
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
  for (int g = threadIdx.x; g < groups; g += blockDim.x) {
    double a = 0, b = 0;
    for (int i = g * depth; i < (g + 1) * depth; i++) {
      a += shared[2 * i];
      b += shared[2 * i + 1];
    }
    float* to = work + (((i64)n * groups + g) * gridDim.x + blockIdx.x) * 2;
    to[0] = (float)a;
    to[1] = (float)b;
  }
}

template <int V, class T>
__device__ __forceinline__ void normalise(const T* x, const T* gamma, const T* beta,
                                          const float* work, T* y, float* mean, float* rstd,
                                          int pixels, int c, int groups, float epsilon, int silu) {
  SHARED(float, shared);  // mean and rstd of each group, then the means of its first pixel
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, depth = c / groups, n = blockIdx.y, chunks = gridDim.x;
  float* first = shared + 2 * groups;
  first_means(first, x + (i64)n * pixels * c, c, groups);
  for (int g = threadIdx.x >> 5; g < groups; g += blockDim.x >> 5) {
    const float* part = work + ((i64)n * groups + g) * chunks * 2;
    double s = 0, q = 0;
    for (int i = threadIdx.x & 31; i < chunks; i += 32) {
      s += part[2 * i];
      q += part[2 * i + 1];
    }
    s = warp_sum(s);
    q = warp_sum(q);
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
                                              float* work, int pixels, int c, int groups,
                                              int silu) {
  SHARED(float, shared);
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, n = blockIdx.y;
  Channels<V, T> at(gamma, beta, mean, rstd, lane * V, n, groups, c / groups);
  float sums[2][V];
#pragma unroll
  for (int k = 0; k < V; k++) sums[0][k] = sums[1][k] = 0;
  Share chunk(pixels);
  if (row < rows) {
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
  for (int i = threadIdx.x; i < c; i += blockDim.x) {
    float* to = work + (((i64)n * c + i) * gridDim.x + blockIdx.x) * 2;
    to[0] = shared[2 * i];
    to[1] = shared[2 * i + 1];
  }
}

// One block a group: sums of the chunks; a warp has a channel.
template <class T>
__device__ __forceinline__ void backward_groups(const float* work, const T* gamma, float* of_group,
                                                T* dgamma, T* dbeta, int samples, int c,
                                                int groups, int chunks, int accumulate) {
  __shared__ float slots[32];
  int g = blockIdx.x, depth = c / groups;
  int warp = threadIdx.x >> 5, warps = blockDim.x >> 5, lane = threadIdx.x & 31;
  for (int n = 0; n < samples; n++) {
    float a = 0, b = 0;
    for (int i = warp; i < depth; i += warps) {
      const float* part = work + ((i64)n * c + g * depth + i) * chunks * 2;
      float scale = to_float(gamma[g * depth + i]);
      for (int k = lane; k < chunks; k += 32) {
        a += scale * part[2 * k];
        b += scale * part[2 * k + 1];
      }
    }
    a = block_sum(a, slots);
    b = block_sum(b, slots);
    if (threadIdx.x == 0) {
      of_group[(n * groups + g) * 2] = a;
      of_group[(n * groups + g) * 2 + 1] = b;
    }
  }
  if (dgamma == nullptr) return;
  for (int i = warp; i < depth; i += warps) {
    float a = 0, b = 0;
    for (int n = 0; n < samples; n++) {
      const float* part = work + ((i64)n * c + g * depth + i) * chunks * 2;
      for (int k = lane; k < chunks; k += 32) {
        a += part[2 * k];
        b += part[2 * k + 1];
      }
    }
    a = warp_sum(a);
    b = warp_sum(b);
    if (lane == 0) {
      give(dbeta + g * depth + i, a, accumulate);
      give(dgamma + g * depth + i, b, accumulate);
    }
  }
}

template <int V, class T>
__device__ __forceinline__ void backward_dx(const T* dy, const T* x, const T* gamma, const T* beta,
                                            const float* mean, const float* rstd,
                                            const float* of_group, T* dx, int pixels, int c,
                                            int groups, int silu) {
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, depth = c / groups, n = blockIdx.y;
  if (row >= rows) return;
  Channels<V, T> at(gamma, beta, mean, rstd, lane * V, n, groups, depth);
  float a[V], b[V], share = 1.0f / ((float)depth * pixels);
#pragma unroll
  for (int k = 0; k < V; k++) {
    int g = n * groups + (lane * V + k) / depth;
    a[k] = of_group[2 * g] * share;
    b[k] = of_group[2 * g + 1] * share;
  }
  Share chunk(pixels);
  for (int p = chunk.from + row; p < chunk.to; p += rows) {
    float v[V], d[V];
    i64 i = ((i64)n * pixels + p) * c + lane * V;
    load<V>(x + i, v);
    load<V>(dy + i, d);
    at.before_silu(v, d, silu);
#pragma unroll
    for (int k = 0; k < V; k++) d[k] = at.r[k] * (at.scale[k] * d[k] - a[k] - v[k] * b[k]);
    store<V>(dx + i, d);
  }
}

#define GROUP_NORM(NAME, T, V)                                                                   \
  extern "C" __global__ void __launch_bounds__(512)                                              \
      group_norm_sums_##NAME(const T* x, float* work, int pixels, int c, int groups) {           \
    group_sums<V>(x, work, pixels, c, groups);                                                       \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(512) group_norm_normalise_##NAME(                 \
      const T* x, const T* gamma, const T* beta, const float* work, T* y, float* mean,           \
      float* rstd, int pixels, int c, int groups, float epsilon, int silu) {                     \
    normalise<V>(x, gamma, beta, work, y, mean, rstd, pixels, c, groups, epsilon, silu);         \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(512) group_norm_backward_sums_##NAME(             \
      const T* dy, const T* x, const T* gamma, const T* beta, const float* mean,                 \
      const float* rstd, float* work, int pixels, int c, int groups, int silu) {                 \
    backward_sums<V>(dy, x, gamma, beta, mean, rstd, work, pixels, c, groups, silu);             \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(512) group_norm_backward_dx_##NAME(               \
      const T* dy, const T* x, const T* gamma, const T* beta, const float* mean,                 \
      const float* rstd, const float* of_group, T* dx, int pixels, int c, int groups, int silu) { \
    backward_dx<V>(dy, x, gamma, beta, mean, rstd, of_group, dx, pixels, c, groups, silu);       \
  }

#define GROUP_NORM_GROUPS(T)                                                                     \
  extern "C" __global__ void __launch_bounds__(128) group_norm_backward_groups_##T(              \
      const float* work, const T* gamma, float* of_group, T* dgamma, T* dbeta, int samples,      \
      int c, int groups, int chunks, int accumulate) {                                           \
    backward_groups(work, gamma, of_group, dgamma, dbeta, samples, c, groups, chunks,            \
                    accumulate);                                                                 \
  }

GROUP_NORM(f32, f32, 4)
GROUP_NORM(bf16, bf16, 8)
GROUP_NORM(f16, f16, 8)
GROUP_NORM(f32_odd, f32, 1)
GROUP_NORM(bf16_odd, bf16, 1)
GROUP_NORM(f16_odd, f16, 1)
GROUP_NORM_GROUPS(f32)
GROUP_NORM_GROUPS(bf16)
GROUP_NORM_GROUPS(f16)
