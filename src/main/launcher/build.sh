# shellcheck shell=bash
# Sourced by the launcher in a checkout: builds where the sources are newer than the last build. Takes
# jars, the kind of libraries, and sets classpath.

stamp=$home/target/launcher$jars.stamp fetched=250
if [ "$jars" = -mkl ]; then fetched=430; fi

# Whether every jar of the last build's classpath is still there.
jars_present() {
  local all jar
  IFS=: read -r -a all 2>/dev/null <"$home/target/classpath$jars" || [ -n "${all[*]:-}" ] || return 1
  for jar in "${all[@]}"; do [ -f "$jar" ] || return 1; done
}

if [ ! -f "$stamp" ] || ! jars_present ||
  [ -n "$(find "$home/pom.xml" "$home/src/main" -newer "$stamp" -print -quit)" ]; then
  echo "Building dreambooth4j (once; the first time fetches about $fetched MB) ..." >&2
  mkdir -p "$home/target"
  touch "$stamp.started" # a source that changes while we build is newer than this
  # Of the jars' name, the profile's: -cuda is made by -Pcuda.
  if ! (cd "$home" && ./mvnw -B -q -Dlauncher ${jars:+"-P${jars#-}"} -DskipTests process-classes >&2); then
    echo "error: the build failed; its messages are above. It needs a JDK 17 or newer and, the first time, the network." >&2
    if [ "$jars" = -mkl ]; then echo "DREAMBOOTH_BLAS=openblas does without Intel's library, 180 MB of it." >&2; fi
    exit 1
  fi
  mv "$stamp.started" "$stamp"
fi
classpath=$home/target/classes:$(cat "$home/target/classpath$jars")
