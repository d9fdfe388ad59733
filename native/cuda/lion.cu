// Lion (Chen et al. 2023):
//   w -= lr (decay w + sign(b1 m + (1 - b1) g));  m = b2 m + (1 - b2) g
//
// constants  b1, b2, decay
// moments    m
// Shapes, versions and work buffers: optimizer.cuh. Bytes a weight: f32 20, bf16 20, stochastic 14,
// 8bit with bf16 14, 8bit_stochastic 8.
//
// run    engine.kernel.OptimizerKernels; check: ./mvnw -Pkernels verify, OptimizerChecks
// architectures 75 80 86 89 90 100 120
#include "optimizer.cuh"

struct Lion {
  static const int MOMENTS = 1;
  float beta1, rest1, beta2, rest2, decay;

  __device__ static __forceinline__ bool is_signed(int) { return true; }

  __device__ static __forceinline__ Lion at(const double* constants, double) {
    double beta1 = constants[0], beta2 = constants[1];
    return Lion{(float)beta1, (float)(1 - beta1), (float)beta2, (float)(1 - beta2),
                (float)constants[2]};
  }

  __device__ __forceinline__ void update(float rate, float g, float& w, float (&m)[1]) const {
    float mix = beta1 * m[0] + rest1 * g;
    float sign = mix > 0 ? 1.0f : mix < 0 ? -1.0f : 0.0f;
    w -= rate * (sign + decay * w);
    m[0] = beta2 * m[0] + rest2 * g;
  }
};

OPTIMIZER(lion, Lion)
