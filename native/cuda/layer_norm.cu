// Layer normalisation of rows, after a residual is added if there is one; statistics in fp32.
//
// in   x [rows, C], residual [rows, C] or null, gamma, beta [C], all of the storage type;
//      dy [rows, C] and, where the sum goes on by another way too, its gradient dsum [rows, C]
// out  sum = x + residual [rows, C] (with a residual only), y [rows, C], mean, rstd [rows] fp32;
//      dx [rows, C], which is the residual's gradient as well; dgamma, dbeta [C]
// work [chunks, 2, C] fp32
// C at most 2048, or what an entry has in its name, and at most 512 with those that end in _odd; in
// the others it is a multiple of the vector.
//
// versions
//   3  a warp has a row in registers, as many as the entry's width needs: x is read once, the variance
//      is of differences from the mean. Backward is one launch, whose first blocks sum up dgamma and
//      dbeta by column (columns.cuh); dx reads dy and the sum from L2 then.
//
// run    engine.kernel.LayerNormKernels; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "columns.cuh"

// A lane's share of a row: vectors lane, lane + 32, ...; what lies behind the end is 0.
template <int V, int C>
struct Row {
  static const int PACKS = C / 32 / V;
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
                                            T* dx, int block, int rows, int c) {
  int row = block * (blockDim.x >> 5) + (threadIdx.x >> 5);
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

// The sums of dbeta and dgamma.
template <int V, class T>
struct Normed {
  const T *dy, *sum;
  const float *mean, *rstd;
  int c;

  __device__ __forceinline__ void add(i64 row, int column, float (&sums)[2][V]) const {
    float d[V], x[V], m = mean[row], r = rstd[row];
    load<V>(dy + row * c + column, d);
    load<V>(sum + row * c + column, x);
#pragma unroll
    for (int k = 0; k < V; k++) {
      sums[0][k] += d[k];
      sums[1][k] += d[k] * (x[k] - m) * r;
    }
  }
};

template <class T>
struct Slices {
  T *dgamma, *dbeta;
  int add;

  __device__ __forceinline__ void sample(int, int, const double (&)[2]) const {}

  __device__ __forceinline__ void all(int column, const double (&sum)[2]) const {
    give(dbeta + column, (float)sum[0], add);
    give(dgamma + column, (float)sum[1], add);
  }
};

// The first blocks sum up columns, chunks of them a tile, unless chunks is 0; those behind have rows.
template <int V, int C, class T>
__device__ __forceinline__ void backward(const T* dy, const T* dsum, const T* sum, const T* gamma,
                                         const float* mean, const float* rstd, T* dx, float* work,
                                         T* dgamma, T* dbeta, int rows, int c, int chunks,
                                         int add) {
  const int WIDTH = V == 1 ? 32 : 8 * V;
  int block = blockIdx.x, of_columns = (c + WIDTH - 1) / WIDTH * chunks;
  if (block >= of_columns) {
    backward_dx<V, C>(dy, dsum, sum, gamma, mean, rstd, dx, block - of_columns, rows, c);
    return;
  }
  int tile = block / chunks;
  sum_columns<V, 2, 128>(Part{tile, 0, 1, block - tile * chunks, chunks}, rows, c, work,
                         Normed<V, T>{dy, sum, mean, rstd, c}, Slices<T>{dgamma, dbeta, add});
}

// With rows of at most C channels.
#define LAYER_NORM_ROWS(NAME, T, V, C)                                                           \
  extern "C" __global__ void __launch_bounds__(128) layer_norm_forward_##NAME(                   \
      const T* x, const T* residual, const T* gamma, const T* beta, T* sum, T* y, float* mean,   \
      float* rstd, int rows, int c, float epsilon) {                                             \
    forward<V, C>(x, residual, gamma, beta, sum, y, mean, rstd, rows, c, epsilon);               \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(128) layer_norm_backward_##NAME(                  \
      const T* dy, const T* dsum, const T* sum, const T* gamma, const float* mean,               \
      const float* rstd, T* dx, float* work, T* dgamma, T* dbeta, int rows, int c, int chunks,   \
      int add) {                                                                                 \
    backward<V, C>(dy, dsum, sum, gamma, mean, rstd, dx, work, dgamma, dbeta, rows, c, chunks,   \
                   add);                                                                         \
  }

#define LAYER_NORM_NARROW(T, V)                                                                  \
  LAYER_NORM_ROWS(512_##T, T, V, 512)                                                            \
  LAYER_NORM_ROWS(768_##T, T, V, 768)                                                            \
  LAYER_NORM_ROWS(1280_##T, T, V, 1280)

LAYER_NORM_ROWS(f32, f32, 4, 2048)
LAYER_NORM_ROWS(bf16, bf16, 8, 2048)
LAYER_NORM_ROWS(f16, f16, 8, 2048)
LAYER_NORM_ROWS(f32_odd, f32, 1, 512)
LAYER_NORM_ROWS(bf16_odd, bf16, 1, 512)
LAYER_NORM_ROWS(f16_odd, f16, 1, 512)
LAYER_NORM_NARROW(f32, 4)
LAYER_NORM_NARROW(bf16, 8)
LAYER_NORM_NARROW(f16, 8)
