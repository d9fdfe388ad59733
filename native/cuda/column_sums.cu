// Sums of columns: a bias' gradient, dy summed over all rows (N = 1), and the gradient of a vector
// that was added to every pixel of its sample (the time embedding).
//
// in   dy [N, P, C] of the storage type
// out  to [N, C] of the storage type, written or added to
// work [N, C, chunks] fp32, with more than one chunk
// C a multiple of the vector, or any with the _odd entries
//
// A block has a tile of columns, 128 bytes of each row (32 columns in the _odd entries), and a share
// of the rows; each thread adds up one vector of every 32nd row (of every 8th).
//
// versions
//   1  one launch where the rows are few, else a second one adds up the chunks. Bytes: dy once.
//
// run    engine.kernel.ColumnSums; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

template <int V, class T>
__device__ __forceinline__ void sums(const T* dy, float* work, T* to, int rows, int c,
                                     int accumulate) {
  const int LANES = V == 1 ? 32 : 8, AT_ONCE = 256 / LANES, TILE = LANES * V;
  __shared__ float shared[AT_ONCE][TILE + 1];
  int tiles = (c + TILE - 1) / TILE, n = blockIdx.y / tiles;
  int first = (blockIdx.y - n * tiles) * TILE;
  int lane = threadIdx.x % LANES, row = threadIdx.x / LANES, column = first + lane * V;
  float sum[V];
#pragma unroll
  for (int k = 0; k < V; k++) sum[k] = 0;
  Share chunk(rows);
  if (column < c) {
    const T* from = dy + (i64)n * rows * c + column;
#pragma unroll 4
    for (int p = chunk.from + row; p < chunk.to; p += AT_ONCE) {
      float v[V];
      load<V>(from + (i64)p * c, v);
#pragma unroll
      for (int k = 0; k < V; k++) sum[k] += v[k];
    }
  }
#pragma unroll
  for (int k = 0; k < V; k++) shared[row][lane * V + k] = sum[k];
  __syncthreads();
  int i = threadIdx.x;
  if (i >= TILE || first + i >= c) return;
  double total = 0;
  for (int r = 0; r < AT_ONCE; r++) total += shared[r][i];
  i64 at = (i64)n * c + first + i;
  if (gridDim.x == 1) {
    give(to + at, (float)total, accumulate);
  } else {
    work[at * gridDim.x + blockIdx.x] = (float)total;
  }
}

// A warp has a column of a sample.
template <class T>
__device__ __forceinline__ void finish(const float* work, T* to, int n, int chunks,
                                       int accumulate) {
  int at = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  if (at >= n) return;
  double sum = 0;
  for (int i = threadIdx.x & 31; i < chunks; i += 32) sum += work[(i64)at * chunks + i];
  sum = warp_sum(sum);
  if ((threadIdx.x & 31) == 0) give(to + at, (float)sum, accumulate);
}

#define COLUMN_SUMS(NAME, T, V)                                                                  \
  extern "C" __global__ void __launch_bounds__(256) column_sums_##NAME(                          \
      const T* dy, float* work, T* to, int rows, int c, int accumulate) {                        \
    sums<V>(dy, work, to, rows, c, accumulate);                                                  \
  }

#define COLUMN_SUMS_FINISH(T)                                                                    \
  extern "C" __global__ void __launch_bounds__(128)                                              \
      column_sums_finish_##T(const float* work, T* to, int n, int chunks, int accumulate) {      \
    finish(work, to, n, chunks, accumulate);                                                     \
  }

COLUMN_SUMS(f32, f32, 4)
COLUMN_SUMS(bf16, bf16, 8)
COLUMN_SUMS(f16, f16, 8)
COLUMN_SUMS(f32_odd, f32, 1)
COLUMN_SUMS(bf16_odd, bf16, 1)
COLUMN_SUMS(f16_odd, f16, 1)
COLUMN_SUMS_FINISH(f32)
COLUMN_SUMS_FINISH(bf16)
COLUMN_SUMS_FINISH(f16)
