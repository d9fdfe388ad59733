#!/usr/bin/env bash
# Makes the archive's own Java, with the modules that CLASSES and their jars need, of JDK's version:
# runtime.sh JDK CLASSES OUT, where OUT/classpath names the jars. OUT also gets the link that the archive
# needs because its libraries stay where they are.
set -eu
jdk=$1 classes=$2 out=$3
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "error: the archive is for Linux x86-64, and is made there." >&2
  exit 1
fi
version=$("$jdk/bin/jdeps" --version | sed 's/[^0-9].*//')
modules=$("$jdk/bin/jdeps" --multi-release "$version" --ignore-missing-deps --print-module-deps \
  --class-path "$(cat "$out/classpath")" "$classes")
rm -rf "$out/runtime" "$out/links"
# jdk.crypto.ec: models fetched by https. Java 22 and later have it in java.base.
"$jdk/bin/jlink" --add-modules "$modules,jdk.crypto.ec" --strip-java-debug-attributes \
  --no-header-files --no-man-pages --output "$out/runtime"

# Some distributions' JDKs load libjpeg, zlib and others from the system. The archive would need them.
own=$(find "$out/runtime/lib" -name '*.so' -printf '%f\n')
foreign=$(for library in jvm zip net nio java awt javajpeg lcms fontmanager; do
  ldd "$out/runtime/lib/"{,server/}"lib$library.so" 2>/dev/null || true
done | awk '/=>/ { print $1 }' | sort -u | grep -vxF "$own" |
  grep -vxE '(libc|libm|libdl|librt|libpthread)\.so\.[0-9]+' || true)
if [ -n "$foreign" ]; then
  echo "error: the Java of $jdk needs libraries that not every machine has:" $foreign >&2
  echo "Name a JDK that has its own, such as Eclipse Temurin: -Ddist.jdk=FOLDER" >&2
  exit 1
fi

# By this name JavaCPP's binding loads OpenBLAS; what it unpacks from a jar it copies under it. The
# archive takes the link alone, but would leave out one that leads nowhere.
mkdir -p "$out/links"
touch "$out/links/libopenblas.so.0"
ln -s libopenblas.so.0 "$out/links/libopenblas_nolapack.so.0"
