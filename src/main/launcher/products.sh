# shellcheck shell=bash
# Sourced by the launcher and by bench/run: which library multiplies matrices on the CPU, and with which
# kernels. Takes java, options, classpath and blas; sets options and the environment of libraries.
#
# Where there is a choice and nobody made it (DREAMBOOTH_BLAS), each candidate multiplies for half a
# second in a process of its own. The fastest is remembered in the user's cache for this processor,
# these libraries and this environment, and is taken from then on; where that cannot be read or names
# no candidate, they are tried again.

# What tells OpenBLAS which kernels to take, and so can hold it to those of an older processor.
kernels=(OPENBLAS_CORETYPE OPENBLAS_L2_SIZE)
told=
for each in "${kernels[@]}"; do
  if [ -n "${!each:-}" ]; then told+="${told:+ }$each=${!each}"; fi
done

take() { # a candidate: options and environment become its own
  case $1 in
    mkl)
      options+=(-Dorg.bytedeco.openblas.load=mkl)
      export MKL_THREADING_LAYER=GNU # libtorch's own threads
      ;;
    openblas-auto) unset "${kernels[@]}" ;;
  esac
}

speed() ( # GFLOP/s of a candidate; 0 where it does not work
  take "$1"
  # shellcheck disable=SC2086 # several options
  said=$("$java" "${options[@]}" ${DREAMBOOTH_JAVA_OPTS:-} -cp "$classpath" dreambooth4j.engine.ProductTrial 2>/dev/null) || said=0
  case $said in '' | *[!0-9]*) said=0 ;; esac
  echo "$said"
)

try_all() { # prints the fastest candidate, and a line of all with their speeds
  local best='' most=-1 all='' each now
  for each; do
    now=$(speed "$each")
    all+="${all:+, }$each $now"
    # By a twentieth: of two that are about equal the first is taken.
    if [ "$((now * 20))" -gt "$((most * 21))" ]; then best=$each most=$now; fi
  done
  printf '%s\n%s GFLOP/s\n' "$best" "$all"
}

libraries() { # names of the jars that multiply, also of those that the class path names as FOLDER/*
  local entries entry
  IFS=: read -r -a entries <<<"$classpath"
  for entry in "${entries[@]}"; do
    case $entry in # quoted, for what a folder's name has of *, ? and [ ] is no pattern
      */\*) printf '%s\n' "${entry%\*}"* ;;
      *) printf '%s\n' "$entry" ;;
    esac
  done | grep -E '/(openblas|mkl|pytorch)-[^/]*$' | sed 's,.*/,,'
}

choose() { # takes what is found, where its first line is a candidate
  local each
  for each in "${candidates[@]}"; do
    if [ "$each" = "${found%%$'\n'*}" ]; then chosen=$each; fi
  done
}

candidates=(openblas)
if [ -n "$told" ]; then candidates+=(openblas-auto); fi
if [ "$jars" = -mkl ]; then candidates=(mkl "${candidates[@]}"); fi
if [ -z "$blas" ]; then
  blas=${candidates[0]}
  if [ "${#candidates[@]}" -gt 1 ]; then
    facts="$(grep -m 1 '^model name' /proc/cpuinfo 2>/dev/null) $(nproc 2>/dev/null) ${candidates[*]} $(
      env | LC_ALL=C grep -E '^(OPENBLAS|GOTO|MKL|OMP|GOMP|KMP)_' | LC_ALL=C sort
    ) $(libraries)"
    remembered=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/dreambooth4j/products-$(cksum <<<"$facts" | cut -d ' ' -f 1)
    chosen='' found=$(tr -d '\0' 2>/dev/null <"$remembered" || true)
    choose
    if [ -z "$chosen" ] && [ -z "${RANK:-}" ]; then # ranks would disturb each other's trial
      often='once'
      if ! mkdir -p "${remembered%/*}" 2>/dev/null || [ ! -w "${remembered%/*}" ]; then
        often="at every start, for ${remembered%/*} cannot be written; DREAMBOOTH_BLAS=openblas tries nothing"
      fi
      echo "Trying which library multiplies matrices fastest here ($often) ..." >&2
      found=$(try_all "${candidates[@]}")
      choose
      # One that failed may work the next time: then all are tried again.
      if [[ ! "$found, " =~ \ 0(,|\ ) ]]; then
        { printf '%s\n' "$found" >"$remembered.$$" && mv "$remembered.$$" "$remembered"; } 2>/dev/null || true
      fi
    fi
    if [ -n "$chosen" ]; then blas=$chosen options+=("-Ddreambooth.products=${found##*$'\n'}"); fi
  fi
fi
if [ "$blas" = openblas-auto ]; then options+=("-Ddreambooth.unset=$told"); fi
take "$blas"
