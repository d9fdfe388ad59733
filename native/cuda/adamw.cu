// AdamW over a flat buffer, in one pass: gradient scaled (clip factor, loss scale), moments, weights,
// the compute-type copy, gradient set to zero. Same rule as torch.optim.AdamW:
//   m += (1 - b1)(g - m);  v = b2 v + (1 - b2) g g;  w -= lr (decay w + m / (1 - b1^t) / d)
//   d = sqrt(v / (1 - b2^t)) + epsilon
//
// All that changes from step to step lies on the device, so that a step can be captured: adamw_begin
// reads norm and learning rate, counts the step and writes the coefficients; where the norm is not
// finite nothing is updated or counted, and the gradients are set to zero. Where gradients arrive one
// by one, a step begins with no norm, and adamw_arrived ends it at the first that is not finite.
//
// in   gradients [n] T; lr, norm, maxNorm, lossScale scalars fp32
// out  weights fp32 [n] and, for bf16 and f16, copy T [n]; moments mean, variance [n]; steps [1] fp32
// buffers on 16-byte boundaries, any n
//
// versions
//   f32, bf16, f16   fp32 weights and moments; T is the type of gradient and copy
//   stochastic       no fp32 weights: bf16 weights rounded up or down at random in proportion
//                    (Philox, key and row given, step the step count; element i of the whole
//                    buffer, of which first is the part's first, a multiple of 8, takes half-word
//                    i mod 8 of block i / 8)
//   8bit             moments as 8-bit codes, a scale for each 256 numbers (Dettmers et al. 2022,
//                    block-wise dynamic quantisation; tables of 256 from AdamWKernels.table); a warp
//                    has a block of 256
//   8bit_stochastic  both
// Bytes a weight, gradient set to zero included: f32 32, bf16 30, stochastic 24, 8bit with bf16 18,
// 8bit_stochastic 12.
//
// run    engine.kernel.AdamWKernels; check: ./mvnw -Pkernels verify, AdamWChecks
// architectures 75 80 86 89 90 100 120
#include "common.cuh"
#include "random.cuh"

struct Rule {
  float beta1, rest1, beta2, rest2, epsilon, decay;
};

// What adamw_begin leaves for the others.
struct Coefficients {
  float factor;     // of the gradient
  float rate;       // learning rate
  float mean;       // 1 / (1 - b1^t)
  float root;       // 1 / sqrt(1 - b2^t)
  float skip;       // not 0: change nothing
  float steps;      // t
};

// maxNorm 0 does not clip. beta1 and beta2 in fp64: 1 - 0.999 has no digits to spare.
extern "C" __global__ void __launch_bounds__(32)
    adamw_begin(const float* norm, const float* rate, const float* loss_scale, float* steps,
                float* coefficients, double beta1, double beta2, float max_norm) {
  if (threadIdx.x != 0) return;
  Coefficients* to = reinterpret_cast<Coefficients*>(coefficients);
  float scale = loss_scale == nullptr ? 1.0f : *loss_scale;
  float true_norm = *norm / scale;
  to->skip = isfinite(true_norm) ? 0.0f : 1.0f;
  if (to->skip == 0.0f) *steps += 1.0f;
  double t = *steps;
  float clip = max_norm > 0 ? fminf(1.0f, max_norm / (true_norm + 1e-6f)) : 1.0f;
  to->factor = clip / scale;
  to->rate = *rate;
  to->mean = (float)(1.0 / (1.0 - pow(beta1, t)));
  to->root = (float)(1.0 / sqrt(1.0 - pow(beta2, t)));
  to->steps = *steps;
}

// A gradient that is not finite ends the step for all that come after it, of other groups too.
extern "C" __global__ void __launch_bounds__(32)
    adamw_arrived(const float* norm, float* stopped, float* coefficients) {
  if (threadIdx.x != 0) return;
  if (!isfinite(*norm)) *stopped = 1.0f;
  if (*stopped != 0.0f) reinterpret_cast<Coefficients*>(coefficients)->skip = 1.0f;
}

__device__ __forceinline__ void update(const Coefficients& c, const Rule& rule, float gradient,
                                       float& weight, float& mean, float& variance) {
  float g = gradient * c.factor;
  mean += rule.rest1 * (g - mean);
  variance = rule.beta2 * variance + rule.rest2 * g * g;
  float change = mean * c.mean / (sqrtf(variance) * c.root + rule.epsilon);
  weight -= c.rate * (change + rule.decay * weight);
}

// N floats of fp32 memory, in 16-byte loads when N is whole vectors.
template <int N>
__device__ __forceinline__ void load_floats(const float* p, float* out) {
  const int V = N % 4 == 0 ? 4 : 1;
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
  __device__ __forceinline__ void store(const Coefficients&, i64 at, const float* w) const {
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
  __device__ __forceinline__ void store(const Coefficients& c, i64 at, const float* w) const {
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

template <int V, class T, class W>
__device__ __forceinline__ void step(const Coefficients& c, const Rule& rule, T* gradients,
                                     const W& weights, float* means, float* variances, i64 at) {
  float g[V], w[V], m[V], v[V], zero[V];
  load<V>(gradients + at, g);
  weights.template load<V>(at, w);
  load_floats<V>(means + at, m);
  load_floats<V>(variances + at, v);
#pragma unroll
  for (int k = 0; k < V; k++) {
    update(c, rule, g[k], w[k], m[k], v[k]);
    zero[k] = 0;
  }
  weights.template store<V>(c, at, w);
  store_floats<V>(means + at, m);
  store_floats<V>(variances + at, v);
  store<V>(gradients + at, zero);
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

template <class T>
__device__ __forceinline__ void clear(T* gradients, i64 n) {
  const int V = Wide<T>::N;
  float zero[V];
#pragma unroll
  for (int k = 0; k < V; k++) zero[k] = 0;
  OVER(n, V, store<V>(gradients + at, zero), store<1>(gradients + at, zero))
}

template <class T, class W>
__device__ __forceinline__ void adamw(const float* coefficients, const Rule& rule, T* gradients,
                                      const W& weights, float* means, float* variances, i64 n) {
  Coefficients c = *reinterpret_cast<const Coefficients*>(coefficients);
  if (c.skip != 0.0f) {
    clear(gradients, n);
    return;
  }
  const int V = Wide<T>::N;
  OVER(n, V, step<V>(c, rule, gradients, weights, means, variances, at),
       step<1>(c, rule, gradients, weights, means, variances, at))
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

// A variance (SIGNED false) above 0 never becomes 0, for it stands in a divisor.
template <bool SIGNED>
__device__ __forceinline__ void encode(unsigned char* codes, float* scale, const float* table,
                                       i64 at, int count, const float* in) {
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
    all.code[k] = (unsigned char)(!SIGNED && x > 0 ? max(code, 1u) : code);
    if (count != 8 && k < count) codes[at + k] = all.code[k];
  }
  if (count == 8) *reinterpret_cast<uint2*>(codes + at) = all.word;
  if ((threadIdx.x & 31) == 0) *scale = most;
}

template <class T, class W>
__device__ __forceinline__ void adamw_8bit(const float* coefficients, const Rule& rule,
                                           const float* tables, T* gradients, const W& weights,
                                           unsigned char* means, float* mean_scales,
                                           unsigned char* variances, float* variance_scales,
                                           i64 n) {
  __shared__ float table[512];
  for (int i = threadIdx.x; i < 512; i += blockDim.x) table[i] = tables[i];
  __syncthreads();
  Coefficients c = *reinterpret_cast<const Coefficients*>(coefficients);
  if (c.skip != 0.0f) {
    clear(gradients, n);
    return;
  }
  int warps = blockDim.x >> 5;
  i64 blocks = (n + 255) / 256;
  for (i64 b = (i64)blockIdx.x * warps + (threadIdx.x >> 5); b < blocks;
       b += (i64)gridDim.x * warps) {
    i64 at = b * 256 + (threadIdx.x & 31) * 8;
    i64 left = n - at;
    int count = left >= 8 ? 8 : left > 0 ? (int)left : 0;
    float g[8], w[8], m[8], v[8], zero[8];
    decode(means, mean_scales[b], table, at, count, m);
    decode(variances, variance_scales[b], table + 256, at, count, v);
#pragma unroll
    for (int k = 0; k < 8; k++) g[k] = w[k] = zero[k] = 0;
    if (count == 8) {
#pragma unroll
      for (int k = 0; k < 8; k += Wide<T>::N) load<Wide<T>::N>(gradients + at + k, g + k);
      weights.template load<8>(at, w);
    } else {
#pragma unroll
      for (int k = 0; k < 8; k++) {
        if (k < count) {
          g[k] = to_float(gradients[at + k]);
          weights.template load<1>(at + k, w + k);
        }
      }
    }
#pragma unroll
    for (int k = 0; k < 8; k++) update(c, rule, g[k], w[k], m[k], v[k]);
    encode<true>(means, mean_scales + b, table, at, count, m);
    encode<false>(variances, variance_scales + b, table + 256, at, count, v);
    if (count == 8) {
      weights.template store<8>(c, at, w);
#pragma unroll
      for (int k = 0; k < 8; k += Wide<T>::N) store<Wide<T>::N>(gradients + at + k, zero + k);
    } else {
#pragma unroll
      for (int k = 0; k < 8; k++) {
        if (k < count) {
          weights.template store<1>(c, at + k, w + k);
          from_float(0.0f, gradients[at + k]);
        }
      }
    }
  }
}

#define RULE Rule{beta1, rest1, beta2, rest2, epsilon, decay}

// The 2 lets the 8-bit version have 128 registers; without it ptxas saves some and spills.
#define ADAMW(T)                                                                                \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      adamw_##T(const float* coefficients, T* gradients, float* weights, T* copy, float* means, \
                float* variances, i64 n, float beta1, float rest1, float beta2, float rest2,    \
                float epsilon, float decay) {                                                   \
    adamw(coefficients, RULE, gradients, Wide32<T>{weights, copy}, means, variances, n);        \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256, 2) adamw_8bit_##T(                          \
      const float* coefficients, const float* tables, T* gradients, float* weights, T* copy,    \
      unsigned char* means, float* mean_scales, unsigned char* variances,                       \
      float* variance_scales, i64 n, float beta1, float rest1, float beta2, float rest2,        \
      float epsilon, float decay) {                                                             \
    adamw_8bit(coefficients, RULE, tables, gradients, Wide32<T>{weights, copy}, means,          \
               mean_scales, variances, variance_scales, n);                                     \
  }

ADAMW(f32)
ADAMW(bf16)
ADAMW(f16)

extern "C" __global__ void __launch_bounds__(256)
    adamw_stochastic(const float* coefficients, bf16* gradients, bf16* weights, float* means,
                     float* variances, i64 n, i64 first, u64 key, u32 row, float beta1, float rest1,
                     float beta2, float rest2, float epsilon, float decay) {
  adamw(coefficients, RULE, gradients, Alone{weights, first, key, row}, means, variances, n);
}

extern "C" __global__ void __launch_bounds__(256, 2) adamw_8bit_stochastic(
    const float* coefficients, const float* tables, bf16* gradients, bf16* weights,
    unsigned char* means, float* mean_scales, unsigned char* variances, float* variance_scales,
    i64 n, i64 first, u64 key, u32 row, float beta1, float rest1, float beta2, float rest2,
    float epsilon, float decay) {
  adamw_8bit(coefficients, RULE, tables, gradients, Alone{weights, first, key, row}, means,
             mean_scales, variances, variance_scales, n);
}
