// A CUDA block on the CPU: what lets g++ compile native/cuda/*.cu and run them, thread by thread.
//
// Each thread of a block is a fiber that runs until it meets a barrier (__syncthreads) or a shuffle;
// blocks run one after another. The order of threads and blocks can be turned round: a kernel whose
// numbers change with it has a race. Dynamic shared memory is filled with NaN before each block.
// Slow, and it says nothing of speed; no atomics, no warps of fewer than 32, shuffles of whole warps
// only. Floating point is the CPU's: no fused multiply-add unless written, libm's functions.
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <tuple>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(n) alignas(n)
#define SHARED(T, NAME) T* NAME = reinterpret_cast<T*>(emulator::shared.data())

struct alignas(16) uint4 {
  unsigned int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned int x, y;
};
struct dim3 {
  unsigned int x = 1, y = 1, z = 1;
};

namespace emulator {
inline std::vector<uint4> shared;

struct Barrier {
  int waiting = 0, members = 0;
  unsigned generation = 0;
};

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(64 << 10);
  bool done;
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Barrier> warps;
  std::vector<double> slots;  // what a shuffle passes, 8 bytes a thread
  Barrier all;
  ucontext_t scheduler;
  int current;
  void (*thunk)(void**);
  void** arguments;
};
inline Block block;

inline void yield() {
  swapcontext(&block.fibers[block.current].context, &block.scheduler);
}

inline void meet(Barrier& barrier) {
  unsigned mine = barrier.generation;
  if (++barrier.waiting == barrier.members) {
    barrier.waiting = 0;
    barrier.generation++;
  }
  while (barrier.generation == mine) yield();
}

// One less to wait for.
inline void leave(Barrier& barrier) {
  if (--barrier.members == barrier.waiting && barrier.members > 0) {
    barrier.waiting = 0;
    barrier.generation++;
  }
}

inline void body() {
  block.thunk(block.arguments);
  block.fibers[block.current].done = true;
  leave(block.all);
  leave(block.warps[block.current / 32]);
  for (;;) yield();
}

template <class T>
T shuffle(T value, int from) {
  Barrier& warp = block.warps[block.current / 32];
  memcpy(&block.slots[block.current], &value, sizeof(T));
  meet(warp);
  T other;
  memcpy(&other, &block.slots[block.current / 32 * 32 + from % 32], sizeof(T));
  meet(warp);
  return other;
}
}  // namespace emulator

inline dim3 gridDim, blockDim, blockIdx;
struct ThreadIndex {
  struct {
    operator int() const { return emulator::block.current; }
  } x;
};
inline ThreadIndex threadIdx;

inline void __syncthreads() { emulator::meet(emulator::block.all); }
inline void __syncwarp() { emulator::meet(emulator::block.warps[emulator::block.current / 32]); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int d) {
  return emulator::shuffle(value, (emulator::block.current & 31) ^ d);
}
template <class T>
T __shfl_sync(unsigned, T value, int from) {
  return emulator::shuffle(value, from);
}

inline float __uint_as_float(unsigned int x) {
  float y;
  memcpy(&y, &x, 4);
  return y;
}
inline unsigned int __float_as_uint(float x) {
  unsigned int y;
  memcpy(&y, &x, 4);
  return y;
}
inline float half_to_float(unsigned short bits) {
  _Float16 x;
  memcpy(&x, &bits, 2);
  return x;
}
inline unsigned short float_to_half(float x) {
  _Float16 y = x;
  unsigned short bits;
  memcpy(&bits, &y, 2);
  return bits;
}
inline unsigned int __umulhi(unsigned int a, unsigned int b) {
  return (unsigned long long)a * b >> 32;
}
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline void sincospi(double x, double* sine, double* cosine) { sincos(M_PI * x, sine, cosine); }
template <class T>
T min(T a, T b) {
  return a < b ? a : b;
}
template <class T>
T max(T a, T b) {
  return a > b ? a : b;
}

namespace emulator {
struct Entry {
  const char* name;
  void (*thunk)(void**);
};

// Calls a kernel with what the pointers point to, as cuLaunchKernel does.
template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<A*>(arguments[I])...);
}
template <auto kernel, class... A>
void thunk(void (*)(A...), void** arguments) {
  call<A...>(kernel, arguments, std::index_sequence_for<A...>());
}

inline int launch(const Entry& entry, dim3 grid, int threads, int sharedBytes, void** arguments,
                  bool backwards) {
  gridDim = grid;
  blockDim = dim3{(unsigned)threads, 1, 1};
  block.thunk = entry.thunk;
  block.arguments = arguments;
  block.fibers.resize(threads);
  block.slots.resize(threads);
  int blocks = grid.x * grid.y;
  for (int b = 0; b < blocks; b++) {
    int at = backwards ? blocks - 1 - b : b;
    blockIdx = dim3{at % grid.x, at / grid.x, 0};
    shared.assign((sharedBytes + 15) / 16, uint4{~0u, ~0u, ~0u, ~0u});
    block.all = Barrier{0, threads};
    block.warps.assign(threads / 32, Barrier{0, 32});
    for (Fiber& each : block.fibers) {
      each.done = false;
      getcontext(&each.context);
      each.context.uc_stack.ss_sp = each.stack.data();
      each.context.uc_stack.ss_size = each.stack.size();
      each.context.uc_link = nullptr;
      makecontext(&each.context, body, 0);
    }
    for (bool alive = true; alive;) {
      alive = false;
      for (int i = 0; i < threads; i++) {
        int t = backwards ? threads - 1 - i : i;
        if (block.fibers[t].done) continue;
        alive = true;
        block.current = t;
        swapcontext(&block.scheduler, &block.fibers[t].context);
      }
    }
  }
  return 0;
}
}  // namespace emulator

// The one function that Java calls: (environment, class, name, grid, threads, shared, arguments, ..).
#define EMULATE(...)                                                                            \
  extern "C" int Java_dreambooth4j_engine_kernel_Emulator_launch(                                   \
      void*, void*, const int entry, const int gridX, const int gridY, const int threads,       \
      const int sharedBytes, const long arguments, const unsigned char backwards) {             \
    static const emulator::Entry entries[] = {__VA_ARGS__};                                     \
    return emulator::launch(entries[entry],                                                     \
                            dim3{(unsigned)gridX, (unsigned)gridY, 1}, threads, sharedBytes,    \
                            reinterpret_cast<void**>(arguments), backwards);                    \
  }
#define ENTRY(NAME) \
  {#NAME, [](void** arguments) { emulator::thunk<NAME>(NAME, arguments); }}
