// Sums of columns in one launch, and in an order that the sizes alone decide.
//
// A block has a tile of columns, 128 bytes of each row (32 columns where rows are no whole vectors),
// and a chunk of the rows of one sample; a thread adds up one vector of every ROWS-th row. Each block
// leaves its sums in work; the last of a tile's blocks to do so adds them up, chunk after chunk.
//
// work [N, chunks, S, C] fp32
#pragma once
#include "common.cuh"

// How many blocks of each tile have left their sums: zero when a launch begins and when it ends. Two
// launches of one file must not run at once.
const int MOST_TILES = 1024;
#ifndef COUNTERS
#define COUNTERS(NAME, N) __device__ u32 NAME[N]
#endif
COUNTERS(arrived, MOST_TILES);

// Whether this block is the last of so many to come here with this counter; then it sees what all of
// them wrote before, with volatile loads. All threads of a block come.
__device__ __forceinline__ bool is_last(u32* counter, int blocks) {
  __shared__ int last;
  __threadfence();  // what this thread wrote is seen before its block is counted
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1u) == (u32)(blocks - 1);
    if (last) *counter = 0;
  }
  __syncthreads();
  if (last) __threadfence();
  return last;
}

// What a block sums up.
struct Part {
  int tile, sample, samples, chunk, chunks;
};

// S sums of each column of a part, by blocks of THREADS. What they are of and where they go, the caller
// says: of.add(row, column, sums) adds V columns of a row, counted over all samples; to.sample(n, column,
// sums) takes a column's sums over one sample, where there are several, and to.all(column, sums) those
// over all samples.
template <int V, int S, int THREADS, class Of, class To>
__device__ __forceinline__ void sum_columns(const Part& part, int rows, int c, float* work,
                                            const Of& of, const To& to) {
  const int LANES = V == 1 ? 32 : 8, ROWS = THREADS / LANES, WIDTH = LANES * V;
  const int HELPERS = THREADS / WIDTH;  // threads that have one column in the end
  __shared__ float shared[ROWS][WIDTH + 1];
  __shared__ double totals[HELPERS][WIDTH];
  int lane = threadIdx.x % LANES, row = threadIdx.x / LANES, first = part.tile * WIDTH;
  float sums[S][V];
#pragma unroll
  for (int s = 0; s < S; s++) {
#pragma unroll
    for (int k = 0; k < V; k++) sums[s][k] = 0;
  }
  int each = (rows + part.chunks - 1) / part.chunks, from = part.chunk * each;
  int end = min(from + each, rows);
  if (first + lane * V < c) {
#pragma unroll(S == 1 ? 4 : 2)
    for (int p = from + row; p < end; p += ROWS) {
      of.add((i64)part.sample * rows + p, first + lane * V, sums);
    }
  }
  int column = first + threadIdx.x % WIDTH, helper = threadIdx.x / WIDTH;
  float* mine = work + (i64)(part.sample * part.chunks + part.chunk) * S * c;
#pragma unroll
  for (int s = 0; s < S; s++) {
#pragma unroll
    for (int k = 0; k < V; k++) shared[row][lane * V + k] = sums[s][k];
    __syncthreads();
    if (helper == 0 && column < c) {
      double sum = 0;
      for (int r = 0; r < ROWS; r++) sum += shared[r][column - first];
      mine[s * c + column] = (float)sum;
    }
    __syncthreads();
  }
  if (!is_last(arrived + part.tile, part.samples * part.chunks)) return;

  // Helpers share the chunks of one sample, or the samples.
  bool one = part.samples == 1;
  double all[S];
#pragma unroll
  for (int s = 0; s < S; s++) all[s] = 0;
  for (int n = one ? 0 : helper; column < c && n < part.samples; n += one ? 1 : HELPERS) {
    double sum[S];
#pragma unroll
    for (int s = 0; s < S; s++) sum[s] = 0;
#pragma unroll 4
    for (int i = one ? helper : 0; i < part.chunks; i += one ? HELPERS : 1) {
      const volatile float* theirs = work + (i64)(n * part.chunks + i) * S * c + column;
#pragma unroll
      for (int s = 0; s < S; s++) sum[s] += theirs[s * c];
    }
    if (!one) to.sample(n, column, sum);
#pragma unroll
    for (int s = 0; s < S; s++) all[s] += sum[s];
  }
#pragma unroll
  for (int s = 0; s < S; s++) {
    totals[helper][column - first] = all[s];
    __syncthreads();
    all[s] = 0;
    for (int h = 0; h < HELPERS; h++) all[s] += totals[h][column - first];
    __syncthreads();
  }
  if (helper == 0 && column < c) to.all(column, all);
}
