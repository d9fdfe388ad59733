// Lists the operators of libtorch that a thread calls, in order, for tests that count them. libtorch's
// jars bring no headers: what is declared here is the part of ATen/record_function.h (2.10) that is used.
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

namespace at {
struct ObserverContext {
  virtual ~ObserverContext() = default;
};

struct RecordFunction {
  const char* name() const;
};

class RecordFunctionCallback {
 public:
  using Start = std::unique_ptr<ObserverContext> (*)(const RecordFunction&);
  using End = void (*)(const RecordFunction&, ObserverContext*);

  RecordFunctionCallback(Start start, End end) : start_(start), end_(end) { scopes_[0] = true; }

 private:
  Start start_;
  End end_;
  double probability_ = 1.0;
  std::array<bool, 10> scopes_ = {};  // the first: operators
  bool inputs_ = false;
  bool outputs_ = false;
  bool ids_ = false;
};

uint64_t addThreadLocalCallback(RecordFunctionCallback callback);
void removeCallback(uint64_t handle);
}  // namespace at

static std::string names;
static uint64_t handle;
static int depth;

static std::unique_ptr<at::ObserverContext> begun(const at::RecordFunction& function) {
  names.append(depth++, ' ').append(function.name()).append("\n");
  return nullptr;
}
static void ended(const at::RecordFunction&, at::ObserverContext*) { depth--; }

// From here on the calling thread's operators are listed.
extern "C" void Java_dreambooth4j_engine_kernel_TorchCalls_begin(void*, void*) {
  names.clear();
  depth = 0;
  handle = at::addThreadLocalCallback(at::RecordFunctionCallback(begun, ended));
}

// Writes their names, a line each, indented by how deep they are nested, to memory of so many bytes; how many bytes they have.
extern "C" int64_t Java_dreambooth4j_engine_kernel_TorchCalls_end(void*, void*, int64_t to,
                                                                  int64_t capacity) {
  at::removeCallback(handle);
  int64_t size = names.size();
  if (size <= capacity) memcpy(reinterpret_cast<void*>(to), names.data(), size);
  return size;
}
