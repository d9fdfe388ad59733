// What every kernel uses: storage types with fp32 arithmetic, 16-byte loads, sums over a block.
//
// NVRTC finds no CUDA headers, so bf16 and fp16 are our own: two bytes, turned into float when read
// and rounded to nearest even when written. The same text is compiled by g++ under
// native/host/emulator.h, which is how the arithmetic is checked without a GPU; only what stands
// under __CUDA_ARCH__ is not.
//
// Entry points are extern "C", one for each storage type: geglu_forward_f32, _bf16, _f16.
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

typedef float f32;
struct bf16 {
  unsigned short bits;
};
struct f16 {
  unsigned short bits;
};

__device__ __forceinline__ float to_float(f32 x) { return x; }

__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float((u32)x.bits << 16); }

__device__ __forceinline__ float to_float(f16 x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
#else
  return half_to_float(x.bits);
#endif
}

__device__ __forceinline__ void from_float(float x, f32& y) { y = x; }

__device__ __forceinline__ void from_float(float x, bf16& y) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
  u32 bits = __float_as_uint(x);
  y.bits = x != x ? 0x7fff : (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
#endif
}

__device__ __forceinline__ void from_float(float x, f16& y) {
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
  y.bits = float_to_half(x);
#endif
}

template <class T>
__device__ __forceinline__ T to(float x) {
  T y;
  from_float(x, y);
  return y;
}

// A block's dynamic shared memory, as T*.
#ifndef SHARED
#define SHARED(T, NAME)                     \
  extern __shared__ uint4 dynamic_shared[]; \
  T* NAME = reinterpret_cast<T*>(dynamic_shared)
#endif

// How many elements a 16-byte load brings.
template <class T>
struct Wide {
  static const int N = 16 / sizeof(T);
};

// V elements from p, as floats. V is 1, or Wide<T>::N with p on a 16-byte boundary.
template <int V, class T>
__device__ __forceinline__ void load(const T* p, float* out) {
  if (V == 1) {
    out[0] = to_float(p[0]);
  } else {
    union {
      uint4 word;
      T element[Wide<T>::N];
    } all;
    all.word = *reinterpret_cast<const uint4*>(p);
#pragma unroll
    for (int i = 0; i < V; i++) out[i] = to_float(all.element[i]);
  }
}

template <int V, class T>
__device__ __forceinline__ void store(T* p, const float* in) {
  if (V == 1) {
    from_float(in[0], p[0]);
  } else {
    union {
      uint4 word;
      T element[Wide<T>::N];
    } all;
#pragma unroll
    for (int i = 0; i < V; i++) from_float(in[i], all.element[i]);
    *reinterpret_cast<uint4*>(p) = all.word;
  }
}

// The sum over a warp, in every lane.
template <class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) x += __shfl_xor_sync(0xffffffffu, x, d);
  return x;
}

// The sum over a block of whole warps, in every thread; slots holds one element a warp.
template <class T>
__device__ __forceinline__ T block_sum(T x, T* slots) {
  int warps = blockDim.x >> 5;
  x = warp_sum(x);
  __syncthreads();  // those who read an earlier sum are done
  if ((threadIdx.x & 31) == 0) slots[threadIdx.x >> 5] = x;
  __syncthreads();
  T sum = slots[0];
  for (int i = 1; i < warps; i++) sum += slots[i];
  return sum;
}

// A block's share of n things: blocks along x have about as many each.
struct Share {
  int from, to;
  __device__ __forceinline__ explicit Share(int n) {
    int blocks = gridDim.x;
    int each = (n + blocks - 1) / blocks;
    from = min((int)blockIdx.x * each, n);
    to = min(from + each, n);
  }
};

// Adds up S sums of each of c columns over the block. A thread comes with the sums of its V columns
// from lane * V on, as one of rows threads that have these columns (a row beyond has none). Leaves
// column i's sum s in shared[i * S + s], for all to read; needs rows * c * S floats.
template <int V, int S>
__device__ __forceinline__ void by_column(float* shared, const float (&sums)[S][V], int c,
                                          int lane, int row, int rows) {
  if (row < rows) {
#pragma unroll
    for (int k = 0; k < V; k++) {
#pragma unroll
      for (int s = 0; s < S; s++) shared[(row * c + lane * V + k) * S + s] = sums[s][k];
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < S * c; i += blockDim.x) {
    double sum = shared[i];
    for (int r = 1; r < rows; r++) sum += shared[r * S * c + i];
    shared[i] = (float)sum;
  }
  __syncthreads();
}

// Sets or adds to a gradient.
template <class T>
__device__ __forceinline__ void give(T* gradient, float value, int accumulate) {
  from_float(accumulate ? to_float(*gradient) + value : value, *gradient);
}

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
