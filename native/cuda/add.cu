// Sums of two values of one shape, and of a picture and one vector a sample (the time embedding).
//
// in   a, b [n]; x [N, P, C] and vector [N, C]
// out  y as a or x; a + b may be a or b itself
// all of one storage type; n any; C a multiple of the vector, or any with the _odd entries
//
// versions
//   1  one pass; the vector's gradient is column_sums.cu's.
//
// run    engine.kernel.AddKernels; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

// U vectors, the stride from one to the next: all are loaded before the first is stored, for y may be
// a or b, and the compiler moves no load before a store.
template <int V, int U, class T>
__device__ __forceinline__ void add_at(const T* a, const T* b, T* y, i64 i, i64 stride) {
  float x[U][V], z[U][V];
#pragma unroll
  for (int u = 0; u < U; u++) {
    load<V>(a + i + u * stride, x[u]);
    load<V>(b + i + u * stride, z[u]);
  }
#pragma unroll
  for (int u = 0; u < U; u++) {
#pragma unroll
    for (int k = 0; k < V; k++) x[u][k] += z[u][k];
    store<V>(y + i + u * stride, x[u]);
  }
}

template <class T>
__device__ __forceinline__ void add(const T* a, const T* b, T* y, i64 n) {
  const int V = Wide<T>::N;
  i64 stride = (i64)gridDim.x * blockDim.x;
  i64 first = (i64)blockIdx.x * blockDim.x + threadIdx.x, i = first;
  for (; i + 3 * stride < n / V; i += 4 * stride) add_at<V, 4>(a, b, y, i * V, stride * V);
  for (; i < n / V; i += stride) add_at<V, 1>(a, b, y, i * V, 0);
  i64 rest = n / V * V + first;
  if (rest < n) add_at<1, 1>(a, b, y, rest, 0);
}

// A thread has V channels of a sample, for the pixels of its block's share.
template <int V, class T>
__device__ __forceinline__ void per_sample(const T* x, const T* vector,
                                           T* __restrict__ y, int pixels, int c) {
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, n = blockIdx.y;
  if (row >= rows) return;
  float by[V], v[V];
  load<V>(vector + (i64)n * c + lane * V, by);
  Share chunk(pixels);
#pragma unroll 4
  for (int p = chunk.from + row; p < chunk.to; p += rows) {
    i64 at = ((i64)n * pixels + p) * c + lane * V;
    load<V>(x + at, v);
#pragma unroll
    for (int k = 0; k < V; k++) v[k] += by[k];
    store<V>(y + at, v);
  }
}

#define ADD(T)                                                                                   \
  extern "C" __global__ void __launch_bounds__(256)                                              \
      add_##T(const T* a, const T* b, T* y, i64 n) {                                             \
    add(a, b, y, n);                                                                             \
  }

#define ADD_PER_SAMPLE(NAME, T, V)                                                               \
  extern "C" __global__ void __launch_bounds__(512)                                              \
      add_per_sample_##NAME(const T* x, const T* vector, T* y, int pixels, int c) {              \
    per_sample<V>(x, vector, y, pixels, c);                                                      \
  }

ADD(f32)
ADD(bf16)
ADD(f16)
ADD_PER_SAMPLE(f32, f32, 4)
ADD_PER_SAMPLE(bf16, bf16, 8)
ADD_PER_SAMPLE(f16, f16, 8)
ADD_PER_SAMPLE(f32_odd, f32, 1)
ADD_PER_SAMPLE(bf16_odd, bf16, 1)
ADD_PER_SAMPLE(f16_odd, f16, 1)
