# shellcheck shell=bash
# Sourced by the launcher for --device cuda and by bench/gpu_classpath. libtorch, and NVRTC when it
# compiles a kernel, load CUDA 13's libraries by name. Where they came with a Python installation (the
# nvidia-* packages that PyTorch needs), the loader does not look there by itself: their folders are
# added to LD_LIBRARY_PATH, behind what it has. Only folders are looked at; packages of another CUDA are
# left alone.

cuda_libraries() {
  local prefix packages folder python found all=""
  python=$(command -v "${PYTHON:-python3}" 2>/dev/null || true)
  if [ -n "$python" ]; then python=$(dirname "$(dirname "$python")"); fi
  for prefix in "${VIRTUAL_ENV:-}" "${CONDA_PREFIX:-}" "$python" "${HOME:-}/.local" /usr/local; do
    if [ -z "$prefix" ]; then continue; fi
    for packages in "$prefix"/lib*/python3*/{site,dist}-packages/nvidia; do
      found=("$packages"/*/lib/libcudart.so.13*)
      if [ ! -e "${found[0]}" ]; then continue; fi
      for folder in "$packages"/*/lib; do
        case ":${LD_LIBRARY_PATH:-}:$all:" in *":$folder:"*) ;; *) all=$all:$folder ;; esac
      done
      # One installation has them all; a second one's would be of other versions.
      export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}${all:+${LD_LIBRARY_PATH:+:}${all#:}}"
      return
    done
  done
}
cuda_libraries
