// Gated GELU: y = value * gelu(gate), exact gelu (erf), as diffusers' GEGLU.
//
// in   x [rows, 2F], value first, then gate; dy [rows, F]
// out  y [rows, F]; dx [rows, 2F]
// F is a multiple of the vector (4 f32, 8 others), or any with the entries that end in _odd.
//
// versions
//   1  one pass; each thread reads a vector of value and of gate. Bytes: forward 3, backward 5 of F.
//
// run    engine.kernel.GegluKernels; check: ./mvnw -Pkernels verify, KernelCases
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

// gelu(x) = x P(x) and its slope P(x) + x p(x), with the normal distribution P and its density p.
__device__ __forceinline__ float normal_cdf(float x) {
  return 0.5f * erfcf(-x * 0.70710678118654752f);
}

template <int V, class T>
__device__ __forceinline__ void forward(const T* x, T* y, int rows, int width) {
  u32 packs = width / V, all = rows * packs;  // below 2^31: engine.kernel.GegluKernels holds it
  for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < all; i += gridDim.x * blockDim.x) {
    i64 row = i / packs;
    int column = (i - (u32)row * packs) * V;
    const T* at = x + row * 2 * width + column;
    float value[V], gate[V];
    load<V>(at, value);
    load<V>(at + width, gate);
#pragma unroll
    for (int k = 0; k < V; k++) value[k] *= gate[k] * normal_cdf(gate[k]);
    store<V>(y + row * width + column, value);
  }
}

template <int V, class T>
__device__ __forceinline__ void backward(const T* dy, const T* x, T* dx, int rows, int width) {
  u32 packs = width / V, all = rows * packs;  // below 2^31: engine.kernel.GegluKernels holds it
  for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < all; i += gridDim.x * blockDim.x) {
    i64 row = i / packs;
    int column = (i - (u32)row * packs) * V;
    i64 at = row * 2 * width + column;
    float up[V], value[V], gate[V];
    load<V>(dy + row * width + column, up);
    load<V>(x + at, value);
    load<V>(x + at + width, gate);
#pragma unroll
    for (int k = 0; k < V; k++) {
      float g = gate[k];
      float p = normal_cdf(g);
      gate[k] = up[k] * value[k] * (p + g * 0.39894228040143268f * expf(-0.5f * g * g));
      value[k] = up[k] * g * p;
    }
    store<V>(dx + at, value);
    store<V>(dx + at + width, gate);
  }
}

#define GEGLU(NAME, T, V)                                                                       \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      geglu_forward_##NAME(const T* x, T* y, int rows, int width) {                             \
    forward<V>(x, y, rows, width);                                                              \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      geglu_backward_##NAME(const T* dy, const T* x, T* dx, int rows, int width) {              \
    backward<V>(dy, x, dx, rows, width);                                                        \
  }

GEGLU(f32, f32, 4)
GEGLU(bf16, bf16, 8)
GEGLU(f16, f16, 8)
GEGLU(f32_odd, f32, 1)
GEGLU(bf16_odd, bf16, 1)
GEGLU(f16_odd, f16, 1)
