// A CUDA device that computes nothing, for libtorch's GPU part and our bindings: what all files here share.
//
// Device memory is the host's, copies are made, kernels and products are only noted by name. What a stream
// may not do while it captures is refused as CUDA refuses it, and remembered as a violation. Functions that
// nobody has called so far are not here: libtorch binds lazily, so a call of one ends the process with
// "undefined symbol" and its name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace standin {
enum Status {
  SUCCESS = 0,
  INVALID = 1,
  NO_MEMORY = 2,
  NOT_READY = 600,
  NOT_SUPPORTED = 801,
  CAPTURE_UNSUPPORTED = 900,
  CAPTURE_INVALIDATED = 901,
  CAPTURE_MERGE = 902,
  CAPTURE_UNMATCHED = 903,
  CAPTURE_UNJOINED = 904,
  CAPTURED_EVENT = 907,
};

struct Stream;

// Nodes in the order of their recording, each by kind and name.
struct Graph {
  std::vector<std::string> nodes;
  // Of nodes that may run at once with earlier ones: with how many, and the node.
  std::vector<std::string> beside;
};

// How much of each stream's recorded work something comes after.
using Seen = std::map<Stream*, uint64_t>;

struct Capture {
  uint64_t id;
  int mode;
  Stream* origin;
  Graph* graph;
  bool invalid = false;
  std::map<Stream*, uint64_t> work;  // of each stream that takes part, nodes
};

struct Stream {
  Capture* capture = nullptr;
  Seen seen;
};

struct Event {
  Capture* capture = nullptr;
  Seen seen;
};

// The stream of a handle; of 0, the default one.
Stream* stream(void* handle);

// Notes work on a stream: a node where it captures. Work on another stream of a thread that captures goes
// astray: no replay repeats it.
Status note(void* handle, const char* kind, const std::string& name);

// Whether this call is forbidden now: it spoils the captures of this thread, and of all in global mode.
bool forbidden(const char* call);

// A violation: the capture, if any, is spoilt, and the last error is this.
Status violation(Capture* capture, Status status, const std::string& what);

// Remembers an error for cudaGetLastError.
Status failed(Status status);
}  // namespace standin
