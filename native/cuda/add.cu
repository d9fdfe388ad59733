// Sums of two values of one shape, and of pictures with what is the same for many of their pixels.
//
// in   a, b [n]; x [N, P, C] and, each or null, other [N, P, C], one vector a sample [N, C] (the time
//      embedding), and biases one, two [C]
// out  y as a or x; a + b may be a or b itself
// all of one storage type; n any; C a multiple of the vector, or any with the _odd entries
//
// versions
//   1  one pass; gradients of vector and biases are column_sums.cu's.
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

template <int V, class T>
__device__ __forceinline__ void add_to(float* sum, const T* more) {
  float v[V];
  load<V>(more, v);
#pragma unroll
  for (int k = 0; k < V; k++) sum[k] += v[k];
}

// A thread has V channels of a sample, for the pixels of its block's share.
template <int V, class T>
__device__ __forceinline__ void per_sample(const T* x, const T* other, const T* vector, const T* one,
                                           const T* two, T* __restrict__ y, int pixels, int c) {
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int rows = blockDim.x / lanes, n = blockIdx.y;
  if (row >= rows) return;
  float by[V], v[V];
#pragma unroll
  for (int k = 0; k < V; k++) by[k] = 0;
  if (vector != nullptr) add_to<V>(by, vector + (i64)n * c + lane * V);
  if (one != nullptr) add_to<V>(by, one + lane * V);
  if (two != nullptr) add_to<V>(by, two + lane * V);
  Share chunk(pixels);
#pragma unroll 4
  for (int p = chunk.from + row; p < chunk.to; p += rows) {
    i64 at = ((i64)n * pixels + p) * c + lane * V;
    load<V>(x + at, v);
    if (other != nullptr) add_to<V>(v, other + at);
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
      add_per_sample_##NAME(const T* x, const T* other, const T* vector, const T* one,           \
                            const T* two, T* y, int pixels, int c) {                             \
    per_sample<V>(x, other, vector, one, two, y, pixels, c);                                     \
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
