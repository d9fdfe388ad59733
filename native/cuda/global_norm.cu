// The Euclidean norm of all gradients, over any number of flat buffers: fp32 within 64 numbers of a
// thread, fp64 beyond, in a fixed order. One number that is not finite makes the norm not finite
// (so does a gradient beyond 1.8e19, whose square fp32 does not hold): this is the finite check.
//
// in   gradients [n] of the storage type, on 16-byte boundaries, any n
// work partial [blocks of all buffers together] fp64
// out  norm [1] fp32
//
// versions
//   1  a launch a buffer, one launch of one block at the end. Bytes: each gradient once.
//
// run    engine.kernel.OptimizerKernels; check: ./mvnw -Pkernels verify, OptimizerChecks
// architectures 75 80 86 89 90 100 120
#include "common.cuh"

template <class T>
__device__ __forceinline__ void squares(const T* gradients, double* partial, i64 n) {
  const int V = Wide<T>::N;
  __shared__ double slots[32];
  double sum = 0;
  float run = 0;
  int terms = 0;
  i64 stride = (i64)gridDim.x * blockDim.x;
  i64 first = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  for (i64 i = first; i < n / V; i += stride) {
    float v[V];
    load<V>(gradients + i * V, v);
#pragma unroll
    for (int k = 0; k < V; k++) run += v[k] * v[k];
    terms += V;
    if (terms >= 64) {
      sum += run;
      run = 0;
      terms = 0;
    }
  }
  i64 rest = n / V * V + first;
  if (rest < n) {
    float v = to_float(gradients[rest]);
    run += v * v;
  }
  sum = block_sum(sum + run, slots);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256)
    global_norm_squares_f32(const f32* gradients, double* partial, i64 n) {
  squares(gradients, partial, n);
}

extern "C" __global__ void __launch_bounds__(256)
    global_norm_squares_bf16(const bf16* gradients, double* partial, i64 n) {
  squares(gradients, partial, n);
}

extern "C" __global__ void __launch_bounds__(256)
    global_norm_squares_f16(const f16* gradients, double* partial, i64 n) {
  squares(gradients, partial, n);
}

extern "C" __global__ void __launch_bounds__(256)
    global_norm_finish(const double* partial, float* norm, int n) {
  __shared__ double slots[32];
  double sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += partial[i];
  sum = block_sum(sum, slots);
  if (threadIdx.x == 0) *norm = (float)sqrt(sum);
}
