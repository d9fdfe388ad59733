// The stand-in's device, memory and kernels: the rest of CUDA's runtime and what we call of its driver.
#include <cxxabi.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "standin.h"

using namespace standin;

namespace {
constexpr size_t MEMORY = size_t{80} << 30;
std::map<char*, size_t> device, pinned;
size_t allocated;

struct Kernel {
  std::string name;
};
std::map<const void*, Kernel*> kernels;

bool within(const std::map<char*, size_t>& all, const void* pointer) {
  char* at = static_cast<char*>(const_cast<void*>(pointer));
  auto next = all.upper_bound(at);
  return next != all.begin() && at < std::prev(next)->first + std::prev(next)->second;
}

int copied(void* to, const void* from, size_t bytes, void* handle) {
  Capture* capture = stream(handle)->capture;
  if (!capture) {
    memcpy(to, from, bytes);
    return note(handle, "copy", "cudaMemcpyAsync");
  }
  for (const void* each : {static_cast<const void*>(to), from}) {
    if (!within(device, each) && !within(pinned, each)) {
      return violation(capture, CAPTURE_UNSUPPORTED, "a copy of pageable memory while a stream captures");
    }
  }
  return note(handle, "copy", "cudaMemcpyAsync");
}

std::string demangled(const char* name) {
  int status;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = text ? text : name;
  free(text);
  return result;
}

template <class T>
void put(void* structure, size_t offset, T value) {
  memcpy(static_cast<char*>(structure) + offset, &value, sizeof(T));
}
}  // namespace

// ---- device ----
API int cudaGetDeviceCount(int* count) {
  *count = 1;
  return SUCCESS;
}
API int cudaGetDevice(int* ordinal) { return *ordinal = 0; }
API int cudaSetDevice(int) { return SUCCESS; }
API int cudaDriverGetVersion(int* version) {
  *version = 13000;
  return SUCCESS;
}
API int cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }
API int cudaDeviceCanAccessPeer(int* can, int, int) { return *can = 0; }

// As an H100 has them; offsets are those of CUDA 13's cudaDeviceProp.
API int cudaGetDeviceProperties(void* properties, int) {
  memset(properties, 0, 1008);
  strcpy(static_cast<char*>(properties), "stand-in");
  put<size_t>(properties, 288, MEMORY);
  put<size_t>(properties, 296, 48 << 10);   // shared memory of a block
  put<int>(properties, 304, 65536);         // registers of a block
  put<int>(properties, 308, 32);            // threads of a warp
  put<int>(properties, 320, 1024);          // threads of a block
  for (int i = 0; i < 2; i++) put<int>(properties, 324 + 4 * i, 1024);
  put<int>(properties, 332, 64);
  put<int>(properties, 336, 0x7fffffff);    // a grid's axes
  for (int i = 1; i < 3; i++) put<int>(properties, 336 + 4 * i, 65535);
  put<int>(properties, 360, 9);             // sm_90
  put<int>(properties, 384, 132);           // multiprocessors
  put<int>(properties, 588, 1);             // one address space
  put<int>(properties, 596, 50 << 20);      // L2
  put<int>(properties, 604, 2048);          // threads of a multiprocessor
  put<size_t>(properties, 624, 228 << 10);  // shared memory of a multiprocessor
  put<int>(properties, 632, 65536);         // registers of one
  put<size_t>(properties, 672, 227 << 10);  // shared memory of a block that asks
  put<int>(properties, 688, 32);            // blocks of a multiprocessor
  return SUCCESS;
}
API int cudaDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {
    case 10: *value = 32; break;
    case 16: *value = 132; break;
    case 39: *value = 2048; break;
    case 75: *value = 9; break;
    case 76: *value = 0; break;
    case 81: *value = 228 << 10; break;
    case 97: *value = 227 << 10; break;
    default: *value = 0;
  }
  return SUCCESS;
}

// ---- memory ----
API int cudaMalloc(void** pointer, size_t bytes) {
  if (forbidden("cudaMalloc")) return CAPTURE_UNSUPPORTED;
  if (allocated + bytes > MEMORY) return failed(NO_MEMORY);
  void* made = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) return failed(NO_MEMORY);
  device[static_cast<char*>(made)] = bytes;
  allocated += bytes;
  *pointer = made;
  return SUCCESS;
}
API int cudaFree(void* pointer) {
  if (!pointer) return SUCCESS;
  if (forbidden("cudaFree")) return CAPTURE_UNSUPPORTED;
  auto found = device.find(static_cast<char*>(pointer));
  if (found == device.end()) return failed(INVALID);
  munmap(pointer, found->second);
  allocated -= found->second;
  device.erase(found);
  return SUCCESS;
}
API int cudaMemGetInfo(size_t* free, size_t* total) {
  *free = MEMORY - allocated;
  *total = MEMORY;
  return SUCCESS;
}
API int cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  if (forbidden("cudaHostAlloc")) return CAPTURE_UNSUPPORTED;
  *pointer = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  pinned[static_cast<char*>(*pointer)] = bytes;
  return SUCCESS;
}
API int cudaFreeHost(void* pointer) {
  if (forbidden("cudaFreeHost")) return CAPTURE_UNSUPPORTED;
  pinned.erase(static_cast<char*>(pointer));
  free(pointer);
  return SUCCESS;
}
API int cudaPointerGetAttributes(void* attributes, const void* pointer) {
  memset(attributes, 0, 88);
  put<int>(attributes, 0, within(device, pointer) ? 2 : within(pinned, pointer) ? 1 : 0);
  return SUCCESS;
}
API int cudaMemcpyAsync(void* to, const void* from, size_t bytes, int, void* handle) {
  return copied(to, from, bytes, handle);
}
API int cudaMemcpy(void* to, const void* from, size_t bytes, int) {
  if (forbidden("cudaMemcpy")) return CAPTURE_UNSUPPORTED;
  return copied(to, from, bytes, nullptr);
}
API int cudaMemsetAsync(void* to, int value, size_t bytes, void* handle) {
  if (!stream(handle)->capture) memset(to, value, bytes);
  return note(handle, "fill", "cudaMemsetAsync");
}
API int cudaMemset(void* to, int value, size_t bytes) {
  if (forbidden("cudaMemset")) return CAPTURE_UNSUPPORTED;
  return cudaMemsetAsync(to, value, bytes, nullptr);
}

// ---- kernels of the runtime ----
API void** __cudaRegisterFatBinary(void* image) { return new void*(image); }
API void __cudaRegisterFatBinaryEnd(void**) {}
API void __cudaUnregisterFatBinary(void**) {}
API void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
API void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, void*, void*, void*, void*,
                                int*) {
  kernels[host] = new Kernel{name};
}

struct Configuration {
  unsigned grid[3], block[3];
  size_t shared;
  void* stream;
};
static thread_local std::vector<Configuration> configurations;

struct Dim3 {
  unsigned x, y, z;
};
API unsigned __cudaPushCallConfiguration(Dim3 grid, Dim3 block, size_t shared, void* handle) {
  configurations.push_back({{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, handle});
  return 0;
}
API int __cudaPopCallConfiguration(Dim3* grid, Dim3* block, size_t* shared, void** handle) {
  Configuration last = configurations.back();
  configurations.pop_back();
  *grid = {last.grid[0], last.grid[1], last.grid[2]};
  *block = {last.block[0], last.block[1], last.block[2]};
  *shared = last.shared;
  *handle = last.stream;
  return SUCCESS;
}

static int launched(const Kernel* kernel, Dim3 grid, Dim3 block, size_t shared, void* handle) {
  size_t threads = size_t{block.x} * block.y * block.z;
  if (!kernel || !grid.x || !grid.y || !grid.z || !threads || threads > 1024 || grid.y > 65535 ||
      grid.z > 65535 || shared > 227 << 10) {
    return violation(nullptr, INVALID, "a launch that no device takes: " + (kernel ? kernel->name : "no kernel"));
  }
  return note(handle, "kernel", demangled(kernel->name.c_str()));
}
API int __cudaGetKernel(const Kernel** kernel, const void* host) {
  auto found = kernels.find(host);
  *kernel = found == kernels.end() ? nullptr : found->second;
  return *kernel ? SUCCESS : failed(INVALID);
}
API int __cudaLaunchKernel(const Kernel* kernel, Dim3 grid, Dim3 block, void**, size_t shared, void* handle) {
  return launched(kernel, grid, block, shared, handle);
}
API int cudaLaunchKernel(const void* host, Dim3 grid, Dim3 block, void**, size_t shared, void* handle) {
  auto found = kernels.find(host);
  return launched(found == kernels.end() ? nullptr : found->second, grid, block, shared, handle);
}
struct LaunchConfiguration {
  Dim3 grid, block;
  size_t shared;
  void* stream;
};
API int cudaLaunchKernelExC(const LaunchConfiguration* how, const void* host, void** arguments) {
  return cudaLaunchKernel(host, how->grid, how->block, arguments, how->shared, how->stream);
}
API int cudaFuncSetAttribute(const void*, int, int) { return SUCCESS; }
API int cudaFuncGetAttributes(void* attributes, const void*) {
  memset(attributes, 0, 144);
  put<int>(attributes, 24, 1024);  // threads of a block
  put<int>(attributes, 28, 32);    // registers
  put<int>(attributes, 32, 90);
  put<int>(attributes, 36, 90);
  return SUCCESS;
}
API int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int, size_t, unsigned) {
  *blocks = 2;
  return SUCCESS;
}
API int cudaGetSymbolAddress(void** address, const void*) {
  static char zeros[1 << 16];
  *address = zeros;
  return SUCCESS;
}

// ---- driver ----
static int unsupported() { return NOT_SUPPORTED; }
API int cuInit(unsigned) { return SUCCESS; }
API int cuDriverGetVersion(int* version) { return cudaDriverGetVersion(version); }
API int cuCtxGetDevice(int* ordinal) { return *ordinal = 0; }
API int cuCtxGetCurrent(void** context) {
  *context = reinterpret_cast<void*>(1);
  return SUCCESS;
}
API int cuDevicePrimaryCtxGetState(int, unsigned* flags, int* active) {
  *flags = 0;
  *active = 1;
  return SUCCESS;
}
API int cuDeviceGet(int* ordinal, int) { return *ordinal = 0; }
API int cuDeviceGetAttribute(int* value, int attribute, int ordinal) {
  return cudaDeviceGetAttribute(value, attribute, ordinal);
}
API int cuDeviceGetName(char* name, int bytes, int) {
  strncpy(name, "stand-in", bytes);
  return SUCCESS;
}
API const char* cudaGetErrorString(int);
API int cuGetErrorString(int error, const char** text) {
  *text = cudaGetErrorString(error);
  return SUCCESS;
}
API int cuModuleLoadData(void** module, const void*) {
  *module = new char;
  return SUCCESS;
}
API int cuModuleGetFunction(Kernel** kernel, void*, const char* name) {
  *kernel = new Kernel{name};
  return SUCCESS;
}
API int cuLaunchKernel(const Kernel* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                       unsigned bz, unsigned shared, void* handle, void**, void**) {
  return launched(kernel, {gx, gy, gz}, {bx, by, bz}, shared, handle);
}
API int cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, uint64_t, int* status) {
  const std::map<std::string, void*> known = {
      {"cuCtxGetCurrent", (void*)cuCtxGetCurrent},
      {"cuDeviceGet", (void*)cuDeviceGet},
      {"cuDeviceGetAttribute", (void*)cuDeviceGetAttribute},
      {"cuGetErrorString", (void*)cuGetErrorString},
  };
  auto found = known.find(name);
  *function = found == known.end() ? (void*)unsupported : found->second;
  if (status) *status = 0;
  return SUCCESS;
}
