// Layer normalisation of rows, after a residual is added if there is one; statistics in fp32.
//
// in   x [rows, C], residual [rows, C] or null, gamma, beta [C], all of the storage type;
//      dy [rows, C] and, where the sum goes on by another way too, its gradient dsum [rows, C]
// out  sum = x + residual [rows, C] (with a residual only), y [rows, C], mean, rstd [rows] fp32;
//      dx [rows, C], which is the residual's gradient as well; dgamma, dbeta [C]
// work [C, chunks, 2] fp32
// C at most 2048, or what an entry has in its name, and at most 512 with those that end in _odd; in
// the others it is a multiple of the vector.
//
// versions
//   2  a warp has a row in registers, as many as the entry's width needs: x is read once, the variance
//      is of differences from the mean. dgamma and dbeta by column in a launch of their own (dy and
//      sum from L2), then by chunk.
//
// run    engine.kernel.LayerNormKernels; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

// A lane's share of a row: vectors lane, lane + 32, ...; what lies behind the end is 0.
template <int V, int C>
struct Row {
  static const int PACKS = (V == 1 ? 512 : C) / 32 / V;
  float v[PACKS][V];

  static __device__ __forceinline__ int at(int i) { return (i * 32 + (threadIdx.x & 31)) * V; }

  template <class T>
  __device__ __forceinline__ void read(const T* from, int c) {
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
      if (at(i) < c) {
        load<V>(from + at(i), v[i]);
      } else {
#pragma unroll
        for (int k = 0; k < V; k++) v[i][k] = 0;
      }
    }
  }
};

template <int V, int C, class T>
__device__ __forceinline__ void forward(const T* x, const T* residual, const T* gamma,
                                        const T* beta, T* sum, T* y, float* mean, float* rstd,
                                        int rows, int c, float epsilon) {
  int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (row >= rows) return;
  i64 from = (i64)row * c;
  Row<V, C> s;
  s.read(x + from, c);
  float total = 0;
#pragma unroll
  for (int i = 0; i < Row<V, C>::PACKS; i++) {
    if (s.at(i) < c) {
      if (residual != nullptr) {
        float r[V];
        load<V>(residual + from + s.at(i), r);
#pragma unroll
        for (int k = 0; k < V; k++) s.v[i][k] = to_float(to<T>(s.v[i][k] + r[k]));
        store<V>(sum + from + s.at(i), s.v[i]);
      }
#pragma unroll
      for (int k = 0; k < V; k++) total += s.v[i][k];
    }
  }
  float m = warp_sum(total) / c, squares = 0;
#pragma unroll
  for (int i = 0; i < Row<V, C>::PACKS; i++) {
    if (s.at(i) < c) {
#pragma unroll
      for (int k = 0; k < V; k++) {
        s.v[i][k] -= m;
        squares += s.v[i][k] * s.v[i][k];
      }
    }
  }
  float r = 1.0f / sqrtf(warp_sum(squares) / c + epsilon);
  if ((threadIdx.x & 31) == 0) {
    mean[row] = m;
    rstd[row] = r;
  }
#pragma unroll
  for (int i = 0; i < Row<V, C>::PACKS; i++) {
    if (s.at(i) < c) {
      float scale[V], shift[V];
      load<V>(gamma + s.at(i), scale);
      load<V>(beta + s.at(i), shift);
#pragma unroll
      for (int k = 0; k < V; k++) shift[k] += s.v[i][k] * r * scale[k];
      store<V>(y + from + s.at(i), shift);
    }
  }
}

template <int V, int C, class T>
__device__ __forceinline__ void backward_dx(const T* dy, const T* dsum, const T* sum,
                                            const T* gamma, const float* mean, const float* rstd,
                                            T* dx, int rows, int c) {
  int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (row >= rows) return;
  i64 from = (i64)row * c;
  float m = mean[row], r = rstd[row], a = 0, b = 0;
  Row<V, C> x, d;
  x.read(sum + from, c);
  d.read(dy + from, c);
#pragma unroll
  for (int i = 0; i < Row<V, C>::PACKS; i++) {
    if (x.at(i) < c) {
      float scale[V];
      load<V>(gamma + x.at(i), scale);
#pragma unroll
      for (int k = 0; k < V; k++) {
        x.v[i][k] = (x.v[i][k] - m) * r;
        d.v[i][k] *= scale[k];
        a += d.v[i][k];
        b += d.v[i][k] * x.v[i][k];
      }
    }
  }
  a = warp_sum(a) / c;
  b = warp_sum(b) / c;
#pragma unroll
  for (int i = 0; i < Row<V, C>::PACKS; i++) {
    if (x.at(i) < c) {
      float other[V];
      if (dsum != nullptr) load<V>(dsum + from + x.at(i), other);
#pragma unroll
      for (int k = 0; k < V; k++) {
        d.v[i][k] = r * (d.v[i][k] - a - x.v[i][k] * b);
        if (dsum != nullptr) d.v[i][k] += other[k];
      }
      store<V>(dx + from + x.at(i), d.v[i]);
    }
  }
}

template <int V, class T>
__device__ __forceinline__ void backward_columns(const T* dy, const T* sum, const float* mean,
                                                 const float* rstd, float* work, int rows, int c) {
  SHARED(float, shared);
  int lanes = c / V, lane = threadIdx.x % lanes, row = threadIdx.x / lanes;
  int at_once = blockDim.x / lanes;
  float sums[2][V];
#pragma unroll
  for (int k = 0; k < V; k++) sums[0][k] = sums[1][k] = 0;
  Share chunk(rows);
  if (row < at_once) {
#pragma unroll 2
    for (int i = chunk.from + row; i < chunk.to; i += at_once) {
      float d[V], x[V], m = mean[i], r = rstd[i];
      load<V>(dy + (i64)i * c + lane * V, d);
      load<V>(sum + (i64)i * c + lane * V, x);
#pragma unroll
      for (int k = 0; k < V; k++) {
        sums[0][k] += d[k];
        sums[1][k] += d[k] * (x[k] - m) * r;
      }
    }
  }
  by_column<V, 2>(shared, sums, c, lane, row, at_once);
  for (int i = threadIdx.x; i < c; i += blockDim.x) {
    float* to = work + ((i64)i * gridDim.x + blockIdx.x) * 2;
    to[0] = shared[2 * i];
    to[1] = shared[2 * i + 1];
  }
}

// A warp has a column.
template <class T>
__device__ __forceinline__ void backward_finish(const float* work, T* dgamma, T* dbeta, int c,
                                                int chunks, int accumulate) {
  int column = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (column >= c) return;
  const float* part = work + (i64)column * chunks * 2;
  float a = 0, b = 0;
  for (int i = threadIdx.x & 31; i < chunks; i += 32) {
    a += part[2 * i];
    b += part[2 * i + 1];
  }
  a = warp_sum(a);
  b = warp_sum(b);
  if ((threadIdx.x & 31) == 0) {
    give(dbeta + column, a, accumulate);
    give(dgamma + column, b, accumulate);
  }
}

// With rows of at most C channels.
#define LAYER_NORM_ROWS(NAME, T, V, C)                                                           \
  extern "C" __global__ void __launch_bounds__(128) layer_norm_forward_##NAME(                   \
      const T* x, const T* residual, const T* gamma, const T* beta, T* sum, T* y, float* mean,   \
      float* rstd, int rows, int c, float epsilon) {                                             \
    forward<V, C>(x, residual, gamma, beta, sum, y, mean, rstd, rows, c, epsilon);               \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(128) layer_norm_backward_dx_##NAME(               \
      const T* dy, const T* dsum, const T* sum, const T* gamma, const float* mean,               \
      const float* rstd, T* dx, int rows, int c) {                                               \
    backward_dx<V, C>(dy, dsum, sum, gamma, mean, rstd, dx, rows, c);                            \
  }

#define LAYER_NORM(NAME, T, V)                                                                   \
  LAYER_NORM_ROWS(NAME, T, V, 2048)                                                              \
  extern "C" __global__ void __launch_bounds__(512)                                              \
      layer_norm_backward_columns_##NAME(const T* dy, const T* sum, const float* mean,           \
                                         const float* rstd, float* work, int rows, int c) {      \
    backward_columns<V>(dy, sum, mean, rstd, work, rows, c);                                     \
  }

#define LAYER_NORM_NARROW(T, V)                                                                  \
  LAYER_NORM_ROWS(512_##T, T, V, 512)                                                            \
  LAYER_NORM_ROWS(768_##T, T, V, 768)                                                            \
  LAYER_NORM_ROWS(1280_##T, T, V, 1280)

#define LAYER_NORM_FINISH(T)                                                                     \
  extern "C" __global__ void __launch_bounds__(128) layer_norm_backward_finish_##T(              \
      const float* work, T* dgamma, T* dbeta, int c, int chunks, int accumulate) {               \
    backward_finish(work, dgamma, dbeta, c, chunks, accumulate);                                 \
  }

LAYER_NORM(f32, f32, 4)
LAYER_NORM(bf16, bf16, 8)
LAYER_NORM(f16, f16, 8)
LAYER_NORM(f32_odd, f32, 1)
LAYER_NORM(bf16_odd, bf16, 1)
LAYER_NORM(f16_odd, f16, 1)
LAYER_NORM_NARROW(f32, 4)
LAYER_NORM_NARROW(bf16, 8)
LAYER_NORM_NARROW(f16, 8)
LAYER_NORM_FINISH(f32)
LAYER_NORM_FINISH(bf16)
LAYER_NORM_FINISH(f16)
