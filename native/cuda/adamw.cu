// AdamW, the rule of torch.optim.AdamW:
//   m += (1 - b1)(g - m);  v = b2 v + (1 - b2) g g;  w -= lr (decay w + m / (1 - b1^t) / d)
//   d = sqrt(v / (1 - b2^t)) + epsilon
//
// constants  b1, b2, epsilon, decay
// moments    m, v
// Shapes, versions and work buffers: optimizer.cuh.
//
// run    engine.kernel.OptimizerKernels; check: ./mvnw -Pkernels verify, OptimizerChecks
// architectures 75 80 86 89 90 100 120
#include "optimizer.cuh"

struct AdamW {
  static const int MOMENTS = 2;
  float rest1, beta2, rest2, epsilon, decay;
  float mean;  // 1 / (1 - b1^t)
  float root;  // 1 / sqrt(1 - b2^t)

  __device__ static __forceinline__ bool is_signed(int moment) { return moment == 0; }

  // In fp64: 1 - 0.999 has no digits to spare.
  __device__ static __forceinline__ AdamW at(const double* constants, double step) {
    double beta1 = constants[0], beta2 = constants[1];
    return AdamW{(float)(1 - beta1),
                 (float)beta2,
                 (float)(1 - beta2),
                 (float)constants[2],
                 (float)constants[3],
                 (float)(1.0 / (1.0 - pow(beta1, step))),
                 (float)(1.0 / sqrt(1.0 - pow(beta2, step)))};
  }

  __device__ __forceinline__ void update(float rate, float g, float& w, float (&m)[2]) const {
    m[0] += rest1 * (g - m[0]);
    m[1] = beta2 * m[1] + rest2 * g * g;
    float change = m[0] * mean / (sqrtf(m[1]) * root + epsilon);
    w -= rate * (change + decay * w);
  }
};

OPTIMIZER(adamw, AdamW)
