// A CUDA block on the CPU: what lets g++ compile native/cuda/*.cu and run them, thread by thread.
//
// Each thread of a block is a fiber that runs until it meets a barrier (__syncthreads) or a shuffle;
// blocks run one after another. The order of threads and blocks can be turned round: a kernel whose
// numbers change with it has a race. Dynamic shared memory is filled with NaN before each block.
// Slow, and it says nothing of speed; of atomics only atomicAdd, no warps of fewer than 32, shuffles of
// whole warps only. Floating point is the CPU's: no fused multiply-add unless written, libm's functions,
// which can be made as inexact as CUDA's. A launch ends at the first touch of a guarded buffer's
// surroundings, and fails where it leaves a counter other than zero.
#pragma once
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <map>
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
#define COUNTERS(NAME, N) inline unsigned int* NAME = emulator::zeros(N)

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
inline std::vector<std::vector<unsigned int>> counters;

inline unsigned int* zeros(int n) { return counters.emplace_back(n).data(); }

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
inline void __threadfence() {}
template <class T>
T atomicAdd(T* to, T value) {
  T before = *to;
  *to += value;
  return before;
}
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

namespace emulator {
// Which way functions err: 0 not at all, 1 up, 2 down, 3 either by the argument's last bits.
inline int direction;

// A function's value, off by as many units in the last place as CUDA's documentation allows.
inline float inexact(float x, float y, int units) {
  if (direction == 0 || !isfinite(y) || y == 0) return y;
  bool up = direction == 1 || (direction == 3 && (__float_as_uint(x) * 2654435761u >> 31));
  for (int i = 0; i < units; i++) y = nextafterf(y, up ? INFINITY : -INFINITY);
  return y;
}
}  // namespace emulator
inline float rsqrtf(float x) { return emulator::inexact(x, 1.0f / sqrtf(x), 2); }
#define expf(x) emulator::inexact(x, expf(x), 2)
#define tanhf(x) emulator::inexact(x, tanhf(x), 2)
#define log1pf(x) emulator::inexact(x, log1pf(x), 1)
#define erfcf(x) emulator::inexact(x, erfcf(x), 4)
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
// Buffers whose surroundings nobody may touch: the data end, but for what an alignment of 16 bytes leaves,
// where pages without access begin, and so do the pages that the data begin in.
struct Guarded {
  char *from, *data;
  size_t whole, before, bytes;
};
inline std::map<char*, Guarded> guarded;

constexpr size_t PAGE = 4096;
inline size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// Memory for so many bytes between so much that is out of bounds. It is filled with ones (NaN, as floats)
// unless it is sparse, which is zero and takes memory only where it is written.
inline char* guard(size_t bytes, size_t around, bool sparse) {
  size_t data = rounded(bytes, 16), pages = rounded(data, PAGE);
  Guarded g;
  g.whole = around + pages + around;
  g.from = (char*)mmap(nullptr, g.whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (g.from == MAP_FAILED || mprotect(g.from + around, pages, PROT_READ | PROT_WRITE)) return nullptr;
  g.data = g.from + around + pages - data;
  g.before = pages - data;
  g.bytes = bytes;
  if (!sparse) memset(g.from + around, 0xff, pages);
  guarded[g.data] = g;
  return g.data;
}

// Gives it back; whether nobody wrote into its pages before the data, or behind them.
inline bool release(char* data, bool sparse) {
  Guarded g = guarded[data];
  guarded.erase(data);
  bool intact = true;
  for (size_t i = 0; !sparse && i < g.before; i++) intact &= data[-1 - (int64_t)i] == (char)0xff;
  for (size_t i = g.bytes; !sparse && i < rounded(g.bytes, 16); i++) intact &= data[i] == (char)0xff;
  munmap(g.from, g.whole);
  return intact;
}

inline sigjmp_buf outside;
inline volatile bool launching;
inline pthread_t launcher;
inline struct sigaction usual;

// A touch of what is out of bounds ends the launch; other faults are the virtual machine's own.
inline void fault(int number, siginfo_t* info, void* context) {
  char* at = (char*)info->si_addr;
  if (launching && pthread_equal(launcher, pthread_self())) {
    for (auto& each : guarded) {
      if (at >= each.second.from && at < each.second.from + each.second.whole) siglongjmp(outside, 1);
    }
  }
  usual.sa_sigaction(number, info, context);
}

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

inline void run(const Entry& entry, dim3 grid, int threads, int sharedBytes, void** arguments,
                bool backwards, int sample) {
  gridDim = grid;
  blockDim = dim3{(unsigned)threads, 1, 1};
  block.thunk = entry.thunk;
  block.arguments = arguments;
  block.fibers.resize(threads);
  block.slots.resize(threads);
  int64_t blocks = (int64_t)grid.x * grid.y;
  for (int64_t b = 0; b < blocks; b++) {
    bool edge = b < sample || b >= blocks - sample || (b >= blocks / 2 && b < blocks / 2 + sample);
    if (sample && !edge) continue;
    int64_t at = backwards ? blocks - 1 - b : b;
    blockIdx = dim3{(unsigned)(at % grid.x), (unsigned)(at / grid.x), 0};
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
}

// Makes all counters zero; whether they were.
inline bool forget() {
  bool zero = true;
  for (auto& each : counters) {
    for (unsigned int& count : each) {
      zero &= count == 0;
      count = 0;
    }
  }
  return zero;
}

// 0, or 1 where a thread touched what is out of bounds, or 2 where counters are left. With a sample only so
// many blocks of the beginning, the middle and the end run, which may leave them.
inline int launch(const Entry& entry, dim3 grid, int threads, int sharedBytes, void** arguments,
                  bool backwards, int sample) {
  struct sigaction ours = {};
  ours.sa_sigaction = fault;
  ours.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &ours, &usual);
  launcher = pthread_self();
  int status = sigsetjmp(outside, 1);
  if (status == 0) {
    launching = true;
    run(entry, grid, threads, sharedBytes, arguments, backwards, sample);
  }
  launching = false;
  if (!forget() && status == 0 && !sample) status = 2;
  sigaction(SIGSEGV, &usual, nullptr);
  return status;
}
}  // namespace emulator

// What Java calls: first (environment, class), then what the native methods of Emulator take.
#define EMULATE(...)                                                                            \
  extern "C" int Java_dreambooth4j_engine_kernel_Emulator_launch(                               \
      void*, void*, int entry, int gridX, int gridY, int threads, int sharedBytes,              \
      int64_t arguments, unsigned char backwards, int sample) {                                 \
    static const emulator::Entry entries[] = {__VA_ARGS__};                                     \
    return emulator::launch(entries[entry], dim3{(unsigned)gridX, (unsigned)gridY, 1}, threads, \
                            sharedBytes, reinterpret_cast<void**>(arguments), backwards,        \
                            sample);                                                            \
  }                                                                                             \
  extern "C" int64_t Java_dreambooth4j_engine_kernel_Emulator_guard(                            \
      void*, void*, int64_t bytes, int64_t around, unsigned char sparse) {                      \
    return (int64_t)emulator::guard(bytes, around, sparse);                                     \
  }                                                                                             \
  extern "C" unsigned char Java_dreambooth4j_engine_kernel_Emulator_release(                    \
      void*, void*, int64_t data, unsigned char sparse) {                                       \
    return emulator::release(reinterpret_cast<char*>(data), sparse);                            \
  }                                                                                             \
  extern "C" void Java_dreambooth4j_engine_kernel_Emulator_err(void*, void*, int direction) {   \
    emulator::direction = direction;                                                            \
  }
#define ENTRY(NAME) \
  {#NAME, [](void** arguments) { emulator::thunk<NAME>(NAME, arguments); }}
