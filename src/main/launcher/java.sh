# Sourced by the launcher and by bench/run: how every JVM of ours runs. Sets java, options, blas (what was
# asked for) and jars (their kind).

java=${home:-.}/runtime/bin/java # an archive's own
if [ ! -x "$java" ]; then
  java=${JAVA_HOME:+$JAVA_HOME/bin/java}
  java=${java:-$(command -v java || true)}
fi
if [ -z "$java" ] || [ ! -x "$java" ]; then
  echo "error: no Java found. Install a JDK 17 or newer, or set JAVA_HOME." >&2
  exit 1
fi

options=(
  -Dorg.bytedeco.javacpp.nopointergc=true # native memory is closed by its owner
  -Dorg.bytedeco.javacpp.maxPhysicalBytes=0
  -DRUST_FLAVOR=cpu # the tokenizer's library is fetched over the network otherwise
  -Djava.awt.headless=true
  --enable-native-access=ALL-UNNAMED # Java 24 and later warn without it
  -XX:+UseSerialGC
  -Xms64m # at first: a 64th of the machine's memory otherwise, a third of it used before any is freed
)

# Intel's library of matrix products is fetched on its processors under Linux, where it can be the
# faster one, and where it is asked for; products.sh takes the fastest. Archives are without.
blas=${DREAMBOOTH_BLAS:-}
jars=
case $blas in
  openblas | openblas-auto) ;;
  mkl) jars=-mkl ;;
  "")
    if [ ! -d "${home:-.}/runtime" ] && [ "$(uname -sm)" = "Linux x86_64" ] &&
      grep -q -m 1 GenuineIntel /proc/cpuinfo; then jars=-mkl; fi
    ;;
  *)
    echo "error: DREAMBOOTH_BLAS is $blas; it can be openblas, openblas-auto or mkl." >&2
    exit 2
    ;;
esac

# Threads that wait must not burn the cores that others work on, OpenMP's and OpenBLAS' pools each
# the other's; but one that sleeps at every gap of microseconds costs a step 8 % (bench/LOG.md): so
# OpenMP's go to sleep after some ten of them.
if [ -z "${OMP_WAIT_POLICY:-}" ]; then
  export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}
fi
export OPENBLAS_THREAD_TIMEOUT=${OPENBLAS_THREAD_TIMEOUT:-4}
# glibc must not hand large blocks back to the system after every step only to page them in again.
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-4294967296}
export MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-4294967296}
export MALLOC_TOP_PAD_=${MALLOC_TOP_PAD_:-67108864}

# Started as one of several ranks, it sees only the GPU of its own number among those of the machine.
if [ -n "${LOCAL_RANK:-}" ] && [ "${LOCAL_WORLD_SIZE:-${WORLD_SIZE:-1}}" != 1 ]; then
  IFS=, read -r -a gpus <<<"${CUDA_VISIBLE_DEVICES:-}"
  if [ "${#gpus[@]}" -eq 0 ]; then
    export CUDA_VISIBLE_DEVICES=$LOCAL_RANK
  elif [ "${#gpus[@]}" -gt 1 ]; then
    export CUDA_VISIBLE_DEVICES=${gpus[$LOCAL_RANK]:-$LOCAL_RANK}
  fi
fi
