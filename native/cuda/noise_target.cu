// Noise, noisy latents and target in one pass: noisy = a x0 + s e; target = e, or a e - s x0 for
// models that predict velocity; a, s the row's square roots of alpha bar and of what is left.
//
// in   x0 [B, P, C] fp32, timesteps [B], roots of all timesteps [steps, 2] = (a, s), numbers [B] =
//      the row of CounterRandom that each row draws; the step of CounterRandom on the device
// out  noisy [B, P, C] of the storage type, target [B, P, C] fp32
//
// e is drawn here: element j of a row is CounterRandom's (key, step, number) draw j, plus strength
// times draw c of (offset key, step, number) for its channel c. Given noise is taken instead, with
// given shifts [B, C] or none. noise_timesteps draws timesteps, noise_draw nothing but draws.
//
// versions
//   1  a thread has four elements, one Philox block.
//
// run    engine.kernel.NoiseKernels; check: ./mvnw -Pkernels verify, NoiseChecks
// architectures 75 80 86 89 90 100 120
#include "common.cuh"
#include "random.cuh"

// One timestep a row: the first whose chance of being it or one below is above a draw from 0 to 1.
extern "C" __global__ void __launch_bounds__(32)
    noise_timesteps(const int* numbers, const i64* step, i64* timesteps, u64 key,
                    const double* chances, int count, int rows) {
  int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  double quantile = philox(key, 0, (u32)numbers[row], (u64)*step).word[0] * 0x1p-32;
  int low = 0, high = count - 1;
  while (low < high) {
    int middle = (low + high) / 2;
    if (chances[middle] > quantile) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  timesteps[row] = low;
}

// Draws alone, a row each: normal ones, or from 0 to 1.
extern "C" __global__ void __launch_bounds__(128)
    noise_draw(const int* numbers, const i64* step, float* out, u64 key, int elements,
               int uniform) {
  int row = blockIdx.y;
  u32 number = (u32)numbers[row];
  int blocks = (elements + 3) / 4;
  for (int b = blockIdx.x * blockDim.x + threadIdx.x; b < blocks; b += gridDim.x * blockDim.x) {
    float drawn[4];
    if (uniform) {
      Draw draw = philox(key, b, number, (u64)*step);
#pragma unroll
      for (int k = 0; k < 4; k++) drawn[k] = (float)(draw.word[k] * 0x1p-32);
    } else {
      normal4(key, b, number, (u64)*step, drawn);
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
      if (b * 4 + k < elements) out[(i64)row * elements + b * 4 + k] = drawn[k];
    }
  }
}

// Adds to four elements from j on what their channels are shifted by.
__device__ __forceinline__ void add_shift(float* e, int j, int row_of_shifts, int channels,
                                          const float* shifts, u64 key, u32 number, u64 step,
                                          float strength) {
  int drawn = -1;
  float shift[4] = {0, 0, 0, 0};
#pragma unroll
  for (int k = 0; k < 4; k++) {
    int c = (j + k) % channels;
    float by;
    if (shifts != nullptr) {
      by = shifts[row_of_shifts + c];
    } else {
      if (c / 4 != drawn) {
        drawn = c / 4;
        normal4(key, drawn, number, step, shift);
      }
      int i = c % 4;
      by = i < 2 ? (i == 0 ? shift[0] : shift[1]) : (i == 2 ? shift[2] : shift[3]);
    }
    e[k] += strength * by;
  }
}

template <class T>
__device__ __forceinline__ void noise_target(const float* x0, const i64* timesteps,
                                             const float* roots, const int* numbers,
                                             const i64* step, const float* given,
                                             const float* shifts, T* noisy, float* target, u64 key,
                                             u64 offset_key, float strength, int elements,
                                             int channels, int velocity) {
  int row = blockIdx.y;
  u32 number = (u32)numbers[row];
  float a = roots[2 * timesteps[row]], s = roots[2 * timesteps[row] + 1];
  i64 from = (i64)row * elements;
  int blocks = (elements + 3) / 4;
  for (int b = blockIdx.x * blockDim.x + threadIdx.x; b < blocks; b += gridDim.x * blockDim.x) {
    i64 at = from + (i64)b * 4;
    bool whole = elements % 4 == 0;  // so that every row begins on a 16-byte boundary
    float e[4], x[4];
    if (whole) {
      load<4>(x0 + at, x);
    } else {
#pragma unroll
      for (int k = 0; k < 4; k++) x[k] = b * 4 + k < elements ? x0[at + k] : 0;
    }
    if (given == nullptr) {
      normal4(key, b, number, (u64)*step, e);
    } else {
#pragma unroll
      for (int k = 0; k < 4; k++) e[k] = b * 4 + k < elements ? given[at + k] : 0;
    }
    if (strength != 0) {
      add_shift(e, b * 4, row * channels, channels, shifts, offset_key, number, (u64)*step,
                strength);
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
      float drawn = e[k];
      e[k] = velocity ? a * drawn - s * x[k] : drawn;
      x[k] = a * x[k] + s * drawn;
    }
    if (whole) store<4>(target + at, e);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      if (b * 4 + k < elements) {
        from_float(x[k], noisy[at + k]);
        if (!whole) target[at + k] = e[k];
      }
    }
  }
}

#define NOISE_TARGET(T)                                                                          \
  extern "C" __global__ void __launch_bounds__(128) noise_target_##T(                            \
      const float* x0, const i64* timesteps, const float* roots, const int* numbers,             \
      const i64* step, const float* given, const float* shifts, T* noisy, float* target,         \
      u64 key, u64 offset_key, float strength, int elements, int channels, int velocity) {       \
    noise_target(x0, timesteps, roots, numbers, step, given, shifts, noisy, target, key,         \
                 offset_key, strength, elements, channels, velocity);                            \
  }

NOISE_TARGET(f32)
NOISE_TARGET(bf16)
NOISE_TARGET(f16)
