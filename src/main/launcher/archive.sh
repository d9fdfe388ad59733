# shellcheck shell=bash
# Sourced by the launcher where it lies in an archive (./mvnw -Pdist package), which has a Java of its
# own and all jars: nothing is built. Native libraries are loaded from the files where they are; nothing
# is unpacked into the user's folder. Takes jars and blas, sets classpath and options.

if [ "$blas" = mkl ]; then
  echo "error: DREAMBOOTH_BLAS=mkl needs Intel's library, which this archive has not; leave it out." >&2
  exit 2
fi
kind=${jars:--cpu} kind=${kind#-}
if [ ! -d "$home/lib/$kind" ]; then
  echo "error: this archive has no libraries for --device $kind; the one whose name ends with -$kind has." >&2
  exit 4
fi
tokenizers=$home/lib/tokenizers
options+=(
  -Dorg.bytedeco.javacpp.cacheLibraries=false # makes no links in the cache either
  "-DRUST_LIBRARY_PATH=$tokenizers/native/lib/linux-x86_64/cpu/libtokenizers.so"
)
classpath=$home/lib/$kind:$home/lib/natives:$tokenizers:$home/lib/*
