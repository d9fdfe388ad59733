// cuBLAS, cuBLASLt, cuDNN and NVRTC of the stand-in: every product is one node.
#include <cstring>

#include "standin.h"

using namespace standin;

struct Handle {
  void* stream = nullptr;
  int mathMode = 0, pointerMode = 0;
};

// ---- cuBLAS ----
API int cublasCreate_v2(Handle** made) {
  *made = new Handle();
  return 0;
}
API int cublasDestroy_v2(Handle* handle) {
  delete handle;
  return 0;
}
API int cublasSetStream_v2(Handle* handle, void* on) {
  handle->stream = on;
  return 0;
}
API int cublasSetWorkspace_v2(Handle*, void*, size_t) { return 0; }
API int cublasSetMathMode(Handle* handle, int mode) {
  handle->mathMode = mode;
  return 0;
}
API int cublasGetMathMode(Handle* handle, int* mode) {
  *mode = handle->mathMode;
  return 0;
}
API int cublasSetPointerMode_v2(Handle* handle, int mode) {
  handle->pointerMode = mode;
  return 0;
}
API int cublasGetPointerMode_v2(Handle* handle, int* mode) {
  *mode = handle->pointerMode;
  return 0;
}
// A library's own status for a stream that refuses work: execution failed.
static int product(void* on, const char* name, int failure) {
  return note(on, "product", name) == SUCCESS ? 0 : failure;
}
#define CUBLAS(NAME) \
  API int NAME(Handle* handle) { return product(handle->stream, #NAME, 13); }
CUBLAS(cublasGemmEx)
CUBLAS(cublasGemmStridedBatchedEx)
CUBLAS(cublasSgemm_v2)
CUBLAS(cublasSgemmEx)
CUBLAS(cublasSgemmStridedBatched)
CUBLAS(cublasDgemm_v2)
CUBLAS(cublasDgemmStridedBatched)
CUBLAS(cublasSgemv_v2)
CUBLAS(cublasDotEx)

// ---- cuBLASLt ----
#define LT_OBJECT(NAME)                      \
  API int NAME##Create(void** made) {        \
    *made = new char[256]();                 \
    return 0;                                \
  }                                          \
  API int NAME##Destroy(char* object) {      \
    delete[] object;                         \
    return 0;                                \
  }                                          \
  API int NAME##SetAttribute() { return 0; }
LT_OBJECT(cublasLtMatmulDesc)
LT_OBJECT(cublasLtMatrixLayout)
LT_OBJECT(cublasLtMatmulPreference)
API size_t cublasLtGetVersion() { return 130000; }
API int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void*, int, void* result,
                                       int* count) {
  memset(result, 0, 96);
  *count = 1;
  return 0;
}
API int cublasLtMatmul(void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*, void*,
                       void*, size_t, void* on) {
  return product(on, "cublasLtMatmul", 13);
}

// ---- cuDNN ----
API size_t cudnnGetVersion() { return 91900; }
API size_t cudnnGetCudartVersion() { return 13000; }
API const char* cudnnGetErrorString(int status) { return status ? "an error of the stand-in" : "success"; }
API void cudnnGetLastErrorString(char* text, size_t bytes) {
  if (bytes) *text = 0;
}
API int cudnnCreate(Handle** made) { return cublasCreate_v2(made); }
API int cudnnDestroy(Handle* handle) { return cublasDestroy_v2(handle); }
API int cudnnSetStream(Handle* handle, void* on) { return cublasSetStream_v2(handle, on); }
API int cudnnGetStream(Handle* handle, void** on) {
  *on = handle->stream;
  return 0;
}
#define DESCRIPTOR(NAME)                      \
  API int cudnnCreate##NAME(void** made) {    \
    *made = new char;                         \
    return 0;                                 \
  }                                           \
  API int cudnnDestroy##NAME(char* made) {    \
    delete made;                              \
    return 0;                                 \
  }
DESCRIPTOR(TensorDescriptor)
DESCRIPTOR(FilterDescriptor)
DESCRIPTOR(ConvolutionDescriptor)
#define AGREES(NAME) \
  API int NAME() { return 0; }
AGREES(cudnnSetTensor4dDescriptor)
AGREES(cudnnSetTensorNdDescriptor)
AGREES(cudnnSetFilter4dDescriptor)
AGREES(cudnnSetFilterNdDescriptor)
AGREES(cudnnSetConvolution2dDescriptor)
AGREES(cudnnSetConvolutionNdDescriptor)
AGREES(cudnnSetConvolutionMathType)
AGREES(cudnnSetConvolutionGroupCount)
static int workspace(size_t* bytes) {
  *bytes = 1 << 20;
  return 0;
}
API int cudnnGetConvolutionForwardWorkspaceSize(void*, void*, void*, void*, void*, int, size_t* bytes) {
  return workspace(bytes);
}
API int cudnnGetConvolutionBackwardDataWorkspaceSize(void*, void*, void*, void*, void*, int, size_t* bytes) {
  return workspace(bytes);
}
API int cudnnGetConvolutionBackwardFilterWorkspaceSize(void*, void*, void*, void*, void*, int, size_t* bytes) {
  return workspace(bytes);
}
static int convolution(Handle* handle, const char* name) {
  return note(handle->stream, "convolution", name) == SUCCESS ? 0 : 5000;
}
#define CONVOLUTION(NAME) \
  API int NAME(Handle* handle) { return convolution(handle, #NAME); }
CONVOLUTION(cudnnConvolutionForward)
CONVOLUTION(cudnnConvolutionBackwardData)
CONVOLUTION(cudnnConvolutionBackwardFilter)
CONVOLUTION(cudnnConvolutionBackwardBias)
// The graph API has no engine for anything here.
API int cudnnBackendCreateDescriptor() { return 3000; }
AGREES(cudnnBackendDestroyDescriptor)

// ---- NVRTC ----
API int nvrtcVersion(int* major, int* minor) {
  *major = 13;
  return *minor = 0;
}
API int nvrtcCreateProgram(char** made) {
  *made = new char;
  return 0;
}
API int nvrtcDestroyProgram(char** program) {
  delete *program;
  return 0;
}
AGREES(nvrtcCompileProgram)
static int one(size_t* bytes) {
  *bytes = 1;
  return 0;
}
static int zero(char* text) { return *text = 0; }
API int nvrtcGetProgramLogSize(void*, size_t* bytes) { return one(bytes); }
API int nvrtcGetProgramLog(void*, char* text) { return zero(text); }
API int nvrtcGetCUBINSize(void*, size_t* bytes) { return one(bytes); }
API int nvrtcGetCUBIN(void*, char* code) { return zero(code); }
API const char* nvrtcGetErrorString(int) { return "an error of the stand-in"; }
