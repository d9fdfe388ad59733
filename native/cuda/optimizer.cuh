// What optimizers' kernels share: a flat buffer is updated in one pass, gradient scaled (clip factor,
// loss scale), what is remembered of each weight, weights, the compute-type copy. Gradients are read
// alone: the next step's take their place (engine.Parameter). A rule is a struct R in a file of its own:
//   R::MOMENTS                  how many numbers are remembered of each weight, at most 2
//   R::is_signed(i)             whether the i-th can be below 0
//   R::at(constants, step)      its constants in step 1, 2, ..; constants fp64 [..] as the rule's
//                               kernelConstants() of Java has them
//   r.update(rate, g, w, m)     new w and m[MOMENTS] for the scaled gradient g
// and OPTIMIZER(name, R) makes its entry points. 4 bytes a field; 12 fields at most.
//
// All that changes from step to step lies on the device, so that a step can be captured: name_begin
// reads norm and learning rate, which it multiplies with the group's constant rate_factor, counts the
// step and writes the coefficients; where the norm is not finite nothing is updated or counted. Where
// gradients arrive one by one, a step begins with a norm of 0, and name_arrived ends it at the first
// that is not finite.
//
// A pull towards an anchor (engine.Anchor) comes before the rule: w -= lr weight (w - anchor), the
// anchor [n] fp32, bf16 or fp16 (anchor_type 0, 1, 2) or, null, zero; weight 0 pulls nothing.
//
// in   gradients [n] T; lr, norm, maxNorm, lossScale scalars fp32
// out  weights fp32 [n] and, for bf16 and f16, copy T [n]; moments [n]; steps [1] fp32
// buffers on 16-byte boundaries, any n; the second moment's pointers are null where a rule has one
//
// versions
//   f32, bf16, f16   fp32 weights and moments; T is the type of gradient and copy
//   stochastic       no fp32 weights: bf16 weights rounded up or down at random in proportion
//                    (Philox, key and row given, step the step count; element i of the whole
//                    buffer, of which first is the part's first, a multiple of 8, takes half-word
//                    i mod 8 of block i / 8)
//   8bit             moments as 8-bit codes, a scale for each 256 numbers (Dettmers et al. 2022,
//                    block-wise dynamic quantisation; tables of 256 from OptimizerKernels.tables);
//                    a warp has a block of 256
//   8bit_stochastic  both
// Bytes a weight of rules with two moments: f32 28, bf16 28, stochastic 22, 8bit with bf16 16,
// 8bit_stochastic 10.
#pragma once
#include "common.cuh"
#include "random.cuh"

// What begin leaves for every rule.
struct Common {
  float factor;  // of the gradient
  float rate;    // learning rate of the group
  float skip;    // not 0: change nothing
  float steps;   // the step, from 1
};

template <class R>
struct Coefficients {
  Common common;
  R rule;
};

// maxNorm 0 does not clip.
template <class R>
__device__ __forceinline__ void begin(const float* norm, const float* rate,
                                      float rate_factor, const float* loss_scale, float* steps,
                                      const double* constants, float* coefficients,
                                      float max_norm) {
  if (threadIdx.x != 0) return;
  Coefficients<R>* to = reinterpret_cast<Coefficients<R>*>(coefficients);
  float scale = loss_scale == nullptr ? 1.0f : *loss_scale;
  float true_norm = *norm / scale;
  float skip = isfinite(true_norm) ? 0.0f : 1.0f;
  if (skip == 0.0f) *steps += 1.0f;
  float clip = max_norm > 0 ? fminf(1.0f, max_norm / (true_norm + 1e-6f)) : 1.0f;
  to->common = Common{clip / scale, *rate * rate_factor, skip, *steps};
  to->rule = R::at(constants, *steps);
}

// A gradient that is not finite ends the step for all that come after it, of other groups too.
__device__ __forceinline__ void end_at(const float* norm, float* stopped, float* coefficients) {
  if (threadIdx.x != 0) return;
  if (!isfinite(*norm)) *stopped = 1.0f;
  if (*stopped != 0.0f) reinterpret_cast<Common*>(coefficients)->skip = 1.0f;
}

// N elements as floats, in 16-byte loads when N is whole vectors.
template <int N, class T>
__device__ __forceinline__ void load_floats(const T* p, float* out) {
  const int V = N % Wide<T>::N == 0 ? Wide<T>::N : 1;
#pragma unroll
  for (int k = 0; k < N; k += V) load<V>(p + k, out + k);
}

template <int N>
__device__ __forceinline__ void store_floats(float* p, const float* in) {
  const int V = N % 4 == 0 ? 4 : 1;
#pragma unroll
  for (int k = 0; k < N; k += V) store<V>(p + k, in + k);
}

// Weights in fp32; their copy in the compute type may be null.
template <class T>
struct Wide32 {
  float* weights;
  T* copy;

  template <int V>
  __device__ __forceinline__ void load(i64 at, float* w) const {
    load_floats<V>(weights + at, w);
  }

  template <int V>
  __device__ __forceinline__ void store(const Common&, i64 at, const float* w) const {
    store_floats<V>(weights + at, w);
    if (copy == nullptr) return;
    const int N = V < Wide<T>::N ? V : Wide<T>::N;
#pragma unroll
    for (int k = 0; k < V; k += N) ::store<N>(copy + at + k, w + k);
  }
};

// Rounds up with the probability of what is cut off.
__device__ __forceinline__ bf16 round_at_random(float x, u32 random16) {
  bf16 y;
  u32 bits = __float_as_uint(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return to<bf16>(x);
  y.bits = (unsigned short)((bits + random16) >> 16);
  return y;
}

// Weights in bf16 alone, a part of a buffer that begins at its element first.
struct Alone {
  bf16* weights;
  i64 first;
  u64 key;
  u32 row;

  template <int V>
  __device__ __forceinline__ void load(i64 at, float* w) const {
    ::load<V>(weights + at, w);
  }

  // V is 8, on whole blocks, or 1.
  template <int V>
  __device__ __forceinline__ void store(const Common& c, i64 at, const float* w) const {
    Draw draw = philox(key, (u32)((first + at) / 8), row, (u64)c.steps);
    union {
      uint4 word;
      bf16 element[8];
    } rounded;
#pragma unroll
    for (int k = 0; k < V; k++) {
      int half = V == 8 ? k : (int)((first + at) % 8);
      u32 word = half < 4 ? (half < 2 ? draw.word[0] : draw.word[1])
                          : (half < 6 ? draw.word[2] : draw.word[3]);
      rounded.element[k] = round_at_random(w[k], half % 2 ? word >> 16 : word & 0xffff);
    }
    if (V == 8) {
      *reinterpret_cast<uint4*>(weights + at) = rounded.word;
    } else {
      weights[at] = rounded.element[0];
    }
  }
};

// What pulls weights before their rule updates them.
struct Pull {
  const void* anchor;
  int type;
  float weight;

  template <int V>
  __device__ __forceinline__ void apply(const Common& c, i64 at, float* w) const {
    if (weight == 0.0f) return;
    float to[V];
    if (anchor == nullptr) {
#pragma unroll
      for (int k = 0; k < V; k++) to[k] = 0;
    } else if (type == 0) {
      load_floats<V>((const float*)anchor + at, to);
    } else if (type == 1) {
      load_floats<V>((const bf16*)anchor + at, to);
    } else {
      load_floats<V>((const f16*)anchor + at, to);
    }
#pragma unroll
    for (int k = 0; k < V; k++) w[k] -= c.rate * weight * (w[k] - to[k]);
  }
};

// Moments in fp32.
template <int M>
struct Moments32 {
  float* of[M];
};

template <int V, class R, class T, class W>
__device__ __forceinline__ void step(const Coefficients<R>& c, const T* gradients,
                                     const W& weights,
                                     const Moments32<R::MOMENTS>& moments, const Pull& pull,
                                     i64 at) {
  const int M = R::MOMENTS;
  float g[V], w[V], m[M][V];
  load<V>(gradients + at, g);
  weights.template load<V>(at, w);
  pull.template apply<V>(c.common, at, w);
#pragma unroll
  for (int i = 0; i < M; i++) load_floats<V>(moments.of[i] + at, m[i]);
#pragma unroll
  for (int k = 0; k < V; k++) {
    float each[M];
#pragma unroll
    for (int i = 0; i < M; i++) each[i] = m[i][k];
    c.rule.update(c.common.rate, g[k] * c.common.factor, w[k], each);
#pragma unroll
    for (int i = 0; i < M; i++) m[i][k] = each[i];
  }
  weights.template store<V>(c.common, at, w);
#pragma unroll
  for (int i = 0; i < M; i++) store_floats<V>(moments.of[i] + at, m[i]);
}

// Runs whole vectors, then the rest one by one.
#define OVER(N, V, STEP_WIDE, STEP_ONE)                                      \
  i64 stride = (i64)gridDim.x * blockDim.x;                                  \
  i64 first = (i64)blockIdx.x * blockDim.x + threadIdx.x;                    \
  for (i64 i = first; i < (N) / (V); i += stride) {                          \
    i64 at = i * (V);                                                        \
    STEP_WIDE;                                                               \
  }                                                                          \
  i64 at = (N) / (V) * (V) + first;                                          \
  if (at < (N)) {                                                            \
    STEP_ONE;                                                                \
  }

template <class R, class T, class W>
__device__ __forceinline__ void optimize(const float* coefficients, const T* gradients,
                                         const W& weights,
                                         const Moments32<R::MOMENTS>& moments, const Pull& pull,
                                         i64 n) {
  Coefficients<R> c = *reinterpret_cast<const Coefficients<R>*>(coefficients);
  if (c.common.skip != 0.0f) return;
  const int V = Wide<T>::N;
  OVER(n, V, step<V>(c, gradients, weights, moments, pull, at),
       step<1>(c, gradients, weights, moments, pull, at))
}

// The code whose number is nearest; table rises.
__device__ __forceinline__ u32 nearest(const float* table, float x) {
  int low = 0, high = 255;
#pragma unroll
  for (int i = 0; i < 8; i++) {
    int middle = (low + high) >> 1;
    if (table[middle] < x) {
      low = min(middle + 1, high);
    } else {
      high = middle;
    }
  }
  return high > 0 && x - table[high - 1] <= table[high] - x ? high - 1 : high;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, d));
  return x;
}

// 8 codes of a lane with the block's scale, as numbers; those behind the end are 0.
__device__ __forceinline__ void decode(const unsigned char* codes, float scale, const float* table,
                                       i64 at, int count, float* out) {
  union {
    uint2 word;
    unsigned char code[8];
  } all;
  if (count == 8) all.word = *reinterpret_cast<const uint2*>(codes + at);
#pragma unroll
  for (int k = 0; k < 8; k++) {
    if (count != 8 && k < count) all.code[k] = codes[at + k];
    out[k] = k < count ? table[all.code[k]] * scale : 0;
  }
}

// What is never below 0 does not become 0 where it is above, for it stands in a divisor.
__device__ __forceinline__ void encode(bool is_signed, unsigned char* codes, float* scale,
                                       const float* table, i64 at, int count, const float* in) {
  float most = 0;
#pragma unroll
  for (int k = 0; k < 8; k++) most = fmaxf(most, fabsf(in[k]));
  most = warp_max(most);
  if (most < 1.17549435e-38f) most = 0; // its inverse is no number
  float inverse = most > 0 ? 1.0f / most : 0.0f;
  union {
    uint2 word;
    unsigned char code[8];
  } all;
#pragma unroll
  for (int k = 0; k < 8; k++) {
    float x = in[k] * inverse;
    u32 code = nearest(table, x);
    all.code[k] = (unsigned char)(!is_signed && x > 0 ? max(code, 1u) : code);
    if (count != 8 && k < count) codes[at + k] = all.code[k];
  }
  if (count == 8) *reinterpret_cast<uint2*>(codes + at) = all.word;
  if ((threadIdx.x & 31) == 0) *scale = most;
}

// Moments as codes, with their scales.
template <int M>
struct Moments8 {
  unsigned char* of[M];
  float* scales[M];
};

template <class R, class T, class W>
__device__ __forceinline__ void optimize_8bit(const float* coefficients, const float* tables,
                                              const T* gradients, const W& weights,
                                              const Moments8<R::MOMENTS>& moments,
                                              const Pull& pull, i64 n) {
  const int M = R::MOMENTS;
  __shared__ float table[256 * M];
  for (int i = threadIdx.x; i < 256 * M; i += blockDim.x) table[i] = tables[i];
  __syncthreads();
  Coefficients<R> c = *reinterpret_cast<const Coefficients<R>*>(coefficients);
  if (c.common.skip != 0.0f) return;
  int warps = blockDim.x >> 5;
  i64 blocks = (n + 255) / 256;
  for (i64 b = (i64)blockIdx.x * warps + (threadIdx.x >> 5); b < blocks;
       b += (i64)gridDim.x * warps) {
    i64 at = b * 256 + (threadIdx.x & 31) * 8;
    i64 left = n - at;
    int count = left >= 8 ? 8 : left > 0 ? (int)left : 0;
    float g[8], w[8], m[M][8];
#pragma unroll
    for (int i = 0; i < M; i++) {
      decode(moments.of[i], moments.scales[i][b], table + 256 * i, at, count, m[i]);
    }
#pragma unroll
    for (int k = 0; k < 8; k++) g[k] = w[k] = 0;
    if (count == 8) {
#pragma unroll
      for (int k = 0; k < 8; k += Wide<T>::N) load<Wide<T>::N>(gradients + at + k, g + k);
      weights.template load<8>(at, w);
      pull.template apply<8>(c.common, at, w);
    } else {
#pragma unroll
      for (int k = 0; k < 8; k++) {
        if (k < count) {
          g[k] = to_float(gradients[at + k]);
          weights.template load<1>(at + k, w + k);
          pull.template apply<1>(c.common, at + k, w + k);
        }
      }
    }
#pragma unroll
    for (int k = 0; k < 8; k++) {
      float each[M];
#pragma unroll
      for (int i = 0; i < M; i++) each[i] = m[i][k];
      c.rule.update(c.common.rate, g[k] * c.common.factor, w[k], each);
#pragma unroll
      for (int i = 0; i < M; i++) m[i][k] = each[i];
    }
#pragma unroll
    for (int i = 0; i < M; i++) {
      encode(R::is_signed(i), moments.of[i], moments.scales[i] + b, table + 256 * i, at, count,
             m[i]);
    }
    if (count == 8) {
      weights.template store<8>(c.common, at, w);
    } else {
#pragma unroll
      for (int k = 0; k < 8; k++) {
        if (k < count) weights.template store<1>(c.common, at + k, w + k);
      }
    }
  }
}

// Of the pointers that every entry takes those that a rule has.
template <int M>
__device__ __forceinline__ Moments32<M> those(float* first, float* second) {
  Moments32<M> moments;
  float* all[2] = {first, second};
#pragma unroll
  for (int i = 0; i < M; i++) moments.of[i] = all[i];
  return moments;
}

template <int M>
__device__ __forceinline__ Moments8<M> those(unsigned char* first, float* first_scales,
                                             unsigned char* second, float* second_scales) {
  Moments8<M> moments;
  unsigned char* all[2] = {first, second};
  float* scales[2] = {first_scales, second_scales};
#pragma unroll
  for (int i = 0; i < M; i++) {
    moments.of[i] = all[i];
    moments.scales[i] = scales[i];
  }
  return moments;
}

// The 2 lets the 8-bit versions have 128 registers; without it ptxas saves some and spills.
#define OPTIMIZER_OF(NAME, R, T)                                                                \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      NAME##_##T(const float* coefficients, const T* gradients, float* weights, T* copy,        \
                 float* first, float* second, const void* anchor, int anchor_type,              \
                 float anchor_weight, i64 n) {                                                  \
    optimize<R>(coefficients, gradients, Wide32<T>{weights, copy},                              \
                those<R::MOMENTS>(first, second), Pull{anchor, anchor_type, anchor_weight}, n); \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256, 2) NAME##_8bit_##T(                         \
      const float* coefficients, const float* tables, const T* gradients, float* weights,      \
      T* copy, unsigned char* first, float* first_scales, unsigned char* second, float* second_scales,   \
      const void* anchor, int anchor_type, float anchor_weight, i64 n) {                        \
    optimize_8bit<R>(coefficients, tables, gradients, Wide32<T>{weights, copy},                 \
                     those<R::MOMENTS>(first, first_scales, second, second_scales),             \
                     Pull{anchor, anchor_type, anchor_weight}, n);                              \
  }

#define OPTIMIZER(NAME, R)                                                                      \
  extern "C" __global__ void __launch_bounds__(32)                                              \
      NAME##_begin(const float* norm, const float* rate, float rate_factor,                     \
                   const float* loss_scale, float* steps, const double* constants,              \
                   float* coefficients, float max_norm) {                                       \
    begin<R>(norm, rate, rate_factor, loss_scale, steps, constants, coefficients, max_norm);    \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(32)                                              \
      NAME##_arrived(const float* norm, float* stopped, float* coefficients) {                  \
    end_at(norm, stopped, coefficients);                                                        \
  }                                                                                             \
  OPTIMIZER_OF(NAME, R, f32)                                                                    \
  OPTIMIZER_OF(NAME, R, bf16)                                                                   \
  OPTIMIZER_OF(NAME, R, f16)                                                                    \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      NAME##_stochastic(const float* coefficients, const bf16* gradients, bf16* weights,        \
                        float* first, float* second, const void* anchor, int anchor_type,       \
                        float anchor_weight, i64 n, i64 from, u64 key, u32 row) {               \
    optimize<R>(coefficients, gradients, Alone{weights, from, key, row},                        \
                those<R::MOMENTS>(first, second), Pull{anchor, anchor_type, anchor_weight}, n); \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256, 2) NAME##_8bit_stochastic(                  \
      const float* coefficients, const float* tables, const bf16* gradients, bf16* weights,     \
      unsigned char* first, float* first_scales, unsigned char* second, float* second_scales,   \
      const void* anchor, int anchor_type, float anchor_weight, i64 n, i64 from, u64 key,       \
      u32 row) {                                                                                \
    optimize_8bit<R>(coefficients, tables, gradients, Alone{weights, from, key, row},           \
                     those<R::MOMENTS>(first, first_scales, second, second_scales),             \
                     Pull{anchor, anchor_type, anchor_weight}, n);                              \
  }
