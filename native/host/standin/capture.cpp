// Streams, events, captures and graphs of the stand-in.
#include <cstdio>

#include "standin.h"

namespace standin {
enum Mode { GLOBAL, THREAD_LOCAL, RELAXED };

static Stream defaultStream;
static std::vector<Capture*> captures;
static std::vector<std::string> violations, astray;
static Graph* last;
static uint64_t captureCount;
static thread_local int threadMode = GLOBAL;
static thread_local Status lastError = SUCCESS;

Stream* stream(void* handle) {
  bool isDefault = reinterpret_cast<uintptr_t>(handle) <= 2;
  return isDefault ? &defaultStream : static_cast<Stream*>(handle);
}

Status failed(Status status) {
  if (status != SUCCESS) lastError = status;
  return status;
}

Status violation(Capture* capture, Status status, const std::string& what) {
  violations.push_back(what);
  if (capture) capture->invalid = true;
  return failed(status);
}

bool forbidden(const char* call) {
  if (captures.empty() || threadMode == RELAXED) return false;
  bool spoilt = false;
  for (Capture* each : captures) {
    if (each->mode != RELAXED) {
      each->invalid = true;
      spoilt = true;
    }
  }
  if (spoilt) violation(nullptr, CAPTURE_UNSUPPORTED, std::string(call) + " while a stream captures");
  return spoilt;
}

Status note(void* handle, const char* kind, const std::string& name) {
  Stream* on = stream(handle);
  std::string node = std::string(kind) + " " + name;
  if (!on->capture) {
    if (!captures.empty()) astray.push_back(node);
    return SUCCESS;
  }
  if (on->capture->invalid) return failed(CAPTURE_INVALIDATED);
  on->capture->graph->nodes.push_back(node);
  on->seen[on] = ++on->capture->work[on];
  uint64_t unseen = 0;
  for (auto& [each, count] : on->capture->work) unseen += count - on->seen[each];
  if (unseen) on->capture->graph->beside.push_back(std::to_string(unseen) + " " + node);
  return SUCCESS;
}

static Status ended(Stream* origin, Graph** graph) {
  Capture* capture = origin->capture;
  if (!capture || capture->origin != origin) {
    return violation(capture, CAPTURE_UNMATCHED, "cudaStreamEndCapture of a stream that began none");
  }
  Status status = capture->invalid ? failed(CAPTURE_INVALIDATED) : SUCCESS;
  for (auto& [each, count] : capture->work) {
    if (status == SUCCESS && origin->seen[each] < count) {
      status = violation(capture, CAPTURE_UNJOINED, "a forked stream was not joined before the end");
    }
    if (each != origin) {
      each->capture = nullptr;
      each->seen.clear();
    }
  }
  origin->capture = nullptr;
  origin->seen.clear();
  std::erase(captures, capture);
  if (status == SUCCESS) {
    *graph = last = capture->graph;
  } else {
    *graph = nullptr;
  }
  delete capture;
  return status;
}
}  // namespace standin

using namespace standin;

API int cudaGetLastError() {
  Status status = lastError;
  lastError = SUCCESS;
  return status;
}
API int cudaPeekAtLastError() { return lastError; }
API const char* cudaGetErrorString(int error) {
  switch (error) {
    case SUCCESS: return "no error";
    case INVALID: return "invalid argument";
    case NO_MEMORY: return "out of memory";
    case NOT_SUPPORTED: return "operation not supported";
    case CAPTURE_UNSUPPORTED: return "operation not permitted when stream is capturing";
    case CAPTURE_INVALIDATED: return "operation failed due to a previous error during capture";
    case CAPTURE_UNJOINED: return "capturing stream has unjoined work";
    default: return "error of the stand-in";
  }
}
API const char* cudaGetErrorName(int error) { return cudaGetErrorString(error); }

API int cudaStreamCreateWithPriority(void** made, unsigned, int) {
  *made = new Stream();
  return SUCCESS;
}
API int cudaStreamCreateWithFlags(void** made, unsigned) {
  *made = new Stream();
  return SUCCESS;
}
API int cudaStreamDestroy(void* handle) {
  if (handle) delete stream(handle);
  return SUCCESS;
}
API int cudaStreamGetPriority(void*, int* priority) { return *priority = 0; }
API int cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return SUCCESS;
}

API int cudaStreamBeginCapture(void* handle, int mode) {
  Stream* on = stream(handle);
  if (on == &defaultStream) return violation(nullptr, CAPTURE_UNSUPPORTED, "a capture of the default stream");
  if (on->capture) return violation(on->capture, INVALID, "a second capture of a stream");
  Capture* made = new Capture{++captureCount, mode, on, new Graph()};
  captures.push_back(made);
  made->work[on] = 0;
  on->capture = made;
  on->seen.clear();
  return SUCCESS;
}
API int cudaStreamEndCapture(void* handle, Graph** graph) { return ended(stream(handle), graph); }
API int cudaStreamIsCapturing(void* handle, int* status) {
  Capture* capture = stream(handle)->capture;
  *status = !capture ? 0 : capture->invalid ? 2 : 1;
  return SUCCESS;
}
API int cudaStreamGetCaptureInfo(void* handle, int* status, uint64_t* id, Graph** graph, void*** nodes,
                                 void** edges, size_t* count) {
  Capture* capture = stream(handle)->capture;
  cudaStreamIsCapturing(handle, status);
  if (id && capture) *id = capture->id;
  if (graph && capture) *graph = capture->graph;
  if (nodes) *nodes = nullptr;
  if (edges) *edges = nullptr;
  if (count) *count = 0;
  return SUCCESS;
}
API int cudaThreadExchangeStreamCaptureMode(int* mode) {
  std::swap(*mode, threadMode);
  return SUCCESS;
}

API int cudaStreamSynchronize(void* handle) {
  Capture* capture = stream(handle)->capture;
  if (capture) return violation(capture, CAPTURE_UNSUPPORTED, "cudaStreamSynchronize of a stream that captures");
  return forbidden("cudaStreamSynchronize") ? CAPTURE_UNSUPPORTED : SUCCESS;
}
API int cudaStreamQuery(void* handle) {
  Capture* capture = stream(handle)->capture;
  if (capture) return violation(capture, CAPTURE_UNSUPPORTED, "cudaStreamQuery of a stream that captures");
  return forbidden("cudaStreamQuery") ? CAPTURE_UNSUPPORTED : SUCCESS;
}
API int cudaDeviceSynchronize() {
  if (captures.empty()) return SUCCESS;
  return violation(captures[0], CAPTURE_UNSUPPORTED, "cudaDeviceSynchronize while a stream captures");
}
API int cudaStreamAddCallback(void* handle, void (*call)(void*, int, void*), void* data, unsigned) {
  Status status = note(handle, "host", "cudaStreamAddCallback");
  if (status == SUCCESS && !stream(handle)->capture) call(handle, SUCCESS, data);
  return status;
}

API int cudaEventCreateWithFlags(Event** made, unsigned) {
  *made = new Event();
  return SUCCESS;
}
API int cudaEventCreate(Event** made) { return cudaEventCreateWithFlags(made, 0); }
API int cudaEventDestroy(Event* event) {
  delete event;
  return SUCCESS;
}
API int cudaEventRecordWithFlags(Event* event, void* handle, unsigned) {
  Stream* on = stream(handle);
  event->capture = on->capture;
  event->seen = on->seen;
  return SUCCESS;
}
API int cudaEventRecord(Event* event, void* handle) { return cudaEventRecordWithFlags(event, handle, 0); }
static int waited(const char* call, Event* event) {
  if (event->capture) return violation(event->capture, CAPTURED_EVENT, std::string(call) + " of an event that a capture recorded");
  return forbidden(call) ? CAPTURE_UNSUPPORTED : SUCCESS;
}
API int cudaEventQuery(Event* event) { return waited("cudaEventQuery", event); }
API int cudaEventSynchronize(Event* event) { return waited("cudaEventSynchronize", event); }
API int cudaEventElapsedTime(float* milliseconds, Event* from, Event* to) {
  *milliseconds = 1;
  return from->capture || to->capture ? failed(CAPTURED_EVENT) : SUCCESS;
}
API int cudaStreamWaitEvent(void* handle, Event* event, unsigned) {
  Stream* on = stream(handle);
  if (!event->capture) {
    if (on->capture) return violation(on->capture, CAPTURE_MERGE, "a capture waits for an event from outside");
    return SUCCESS;
  }
  if (on->capture && on->capture != event->capture) {
    return violation(on->capture, CAPTURE_MERGE, "one capture waits for another");
  }
  if (!on->capture) {
    on->capture = event->capture;
    on->capture->work[on];
  }
  for (auto& [each, count] : event->seen) on->seen[each] = std::max(on->seen[each], count);
  return SUCCESS;
}

API int cudaGraphInstantiateWithFlags(Graph** made, Graph* graph, uint64_t) {
  *made = new Graph(*graph);
  return SUCCESS;
}
API int cudaGraphInstantiate(Graph** made, Graph* graph, uint64_t flags) {
  return cudaGraphInstantiateWithFlags(made, graph, flags);
}
API int cudaGraphDestroy(Graph*) { return SUCCESS; }  // the last one is asked for afterwards
API int cudaGraphExecDestroy(Graph* graph) {
  delete graph;
  return SUCCESS;
}
API int cudaGraphLaunch(Graph*, void* handle) { return note(handle, "graph", "cudaGraphLaunch"); }
API int cudaGraphDebugDotPrint(Graph* graph, const char* path, unsigned) {
  FILE* file = fopen(path, "w");
  if (!file) return failed(INVALID);
  fputs("digraph dot {\n", file);
  for (size_t i = 0; i < graph->nodes.size(); i++) {
    fprintf(file, "\"node_%zu\" [label=\"%s\"];\n", i, graph->nodes[i].c_str());
  }
  fputs("}\n", file);
  fclose(file);
  return SUCCESS;
}
API int cudaGraphGetNodes(Graph* graph, void**, size_t* count) {
  *count = graph->nodes.size();
  return SUCCESS;
}

// For Java: what the last capture that succeeded recorded, which of it may run at once with earlier nodes,
// what went astray, and violations, a line each with "node ", "beside ", "astray " or "violation " before it.
// Written to memory of so many bytes; how many there are.
API int64_t Java_dreambooth4j_engine_kernel_StandIn_report(void*, void*, int64_t to, int64_t capacity) {
  std::string text;
  if (last) {
    for (auto& each : last->nodes) text += "node " + each + "\n";
    for (auto& each : last->beside) text += "beside " + each + "\n";
  }
  for (auto& each : astray) text += "astray " + each + "\n";
  for (auto& each : violations) text += "violation " + each + "\n";
  if ((int64_t)text.size() <= capacity) text.copy(reinterpret_cast<char*>(to), text.size());
  return text.size();
}

// Forgets it all.
API void Java_dreambooth4j_engine_kernel_StandIn_forget(void*, void*) {
  last = nullptr;
  astray.clear();
  violations.clear();
}
