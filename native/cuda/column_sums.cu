// Sums of columns: a bias' gradient, dy summed over all rows, and the gradient of a vector that was
// added to every pixel of its sample (the time embedding), with those of biases that were added too.
//
// in   dy [N, P, C] of the storage type
// out  to [N, C], and the sums over all samples, one, other [C], each or null; of the storage type,
//      written or, by their bits of add (1, 2, 4), added to
// work [N, chunks, C] fp32
// C a multiple of the vector, or any with the _odd entries
//
// versions
//   2  one launch: the last block of a tile adds up the chunks (columns.cuh). Bytes: dy once.
//
// run    engine.kernel.ColumnSums; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "columns.cuh"

template <int V, class T>
struct Rows {
  const T* dy;
  int c;

  __device__ __forceinline__ void add(i64 row, int column, float (&sums)[1][V]) const {
    float v[V];
    load<V>(dy + row * c + column, v);
#pragma unroll
    for (int k = 0; k < V; k++) sums[0][k] += v[k];
  }
};

template <class T>
struct Slices {
  T *to, *one, *other;
  int add, samples, c;

  __device__ __forceinline__ void sample(int n, int column, const double (&sum)[1]) const {
    if (to != nullptr) give(to + (i64)n * c + column, (float)sum[0], add & 1);
  }

  __device__ __forceinline__ void all(int column, const double (&sum)[1]) const {
    if (samples == 1) sample(0, column, sum);
    if (one != nullptr) give(one + column, (float)sum[0], add & 2);
    if (other != nullptr) give(other + column, (float)sum[0], add & 4);
  }
};

template <int V, class T>
__device__ __forceinline__ void column_sums(const T* dy, float* work, T* to, T* one, T* other,
                                            int samples, int rows, int c, int add) {
  const int WIDTH = V == 1 ? 32 : 8 * V;
  int tiles = (c + WIDTH - 1) / WIDTH, n = blockIdx.y / tiles;
  Part part = {(int)blockIdx.y - n * tiles, n, samples, (int)blockIdx.x, (int)gridDim.x};
  sum_columns<V, 1, 256>(part, rows, c, work, Rows<V, T>{dy, c},
                         Slices<T>{to, one, other, add, samples, c});
}

#define COLUMN_SUMS(NAME, T, V)                                                                  \
  extern "C" __global__ void __launch_bounds__(256)                                              \
      column_sums_##NAME(const T* dy, float* work, T* to, T* one, T* other, int samples,         \
                         int rows, int c, int add) {                                             \
    column_sums<V>(dy, work, to, one, other, samples, rows, c, add);                             \
  }

COLUMN_SUMS(f32, f32, 4)
COLUMN_SUMS(bf16, bf16, 8)
COLUMN_SUMS(f16, f16, 8)
COLUMN_SUMS(f32_odd, f32, 1)
COLUMN_SUMS(bf16_odd, bf16, 1)
COLUMN_SUMS(f16_odd, f16, 1)
