// Gradient descent with momentum, the rule of torch.optim.SGD:
//   g += decay w;  m = momentum m + g;  w -= lr (g + momentum m with Nesterov's, or else m)
//
// constants  momentum, decay, 1 with Nesterov's momentum or else 0
// moments    m
// Shapes, versions and work buffers: optimizer.cuh. Bytes a weight as in lion.cu.
//
// run    engine.kernel.OptimizerKernels; check: ./mvnw -Pkernels verify, OptimizerChecks
// architectures 75 80 86 89 90 100 120
#include "optimizer.cuh"

struct Sgd {
  static const int MOMENTS = 1;
  float momentum, decay, nesterov;

  __device__ static __forceinline__ bool is_signed(int) { return true; }

  __device__ static __forceinline__ Sgd at(const double* constants, double) {
    return Sgd{(float)constants[0], (float)constants[1], (float)constants[2]};
  }

  __device__ __forceinline__ void update(float rate, float g, float& w, float (&m)[1]) const {
    g += decay * w;
    m[0] = momentum * m[0] + g;
    w -= rate * (nesterov != 0 ? g + momentum * m[0] : m[0]);
  }
};

OPTIMIZER(sgd, Sgd)
