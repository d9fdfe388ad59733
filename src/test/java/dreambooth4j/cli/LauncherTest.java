package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIf;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The launcher in a home of its own, where the Maven wrapper only notes that it was called. */
@DisabledOnOs(OS.WINDOWS)
class LauncherTest {
  @TempDir private Path folder;
  private Path home = Path.of("");
  private Path builds = Path.of("");

  /** The test's classpath has OpenBLAS alone, whatever the processor. */
  private final Map<String, String> environment =
      new HashMap<>(Map.of("DREAMBOOTH_BLAS", "openblas"));

  /** A home whose path has a space, and whose build takes the classes of this test's classpath. */
  @BeforeEach
  void makeHome() throws IOException {
    home = Files.createDirectories(folder.resolve("my home"));
    builds = home.resolve("builds");
    for (String each : List.of("java.sh", "cuda.sh", "build.sh", "archive.sh", "products.sh")) {
      Path sourced = Path.of("src/main/launcher", each);
      Files.createDirectories(home.resolve(sourced).getParent());
      Files.copy(sourced, home.resolve(sourced));
    }
    Files.writeString(home.resolve("pom.xml"), "");
    List<String> classpath = classpath();
    Files.writeString(home.resolve("the classpath"), String.join(File.pathSeparator, classpath));
    script(
        home.resolve("mvnw"),
        """
        #!/bin/sh
        echo "$@" >> builds
        mkdir -p target
        cp -R '%s' target/
        cp 'the classpath' target/classpath
        """
            .formatted(Path.of("target/classes").toAbsolutePath()));
    script(home.resolve("dreambooth"), Files.readString(Path.of("dreambooth")));
  }

  /** The jars alone, as Maven's own build writes them. */
  private static List<String> classpath() {
    String all =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    return Arrays.stream(all.split(File.pathSeparator, -1))
        .filter(entry -> entry.endsWith(".jar"))
        .collect(Collectors.toList());
  }

  private static void script(Path file, String text) throws IOException {
    Files.writeString(file, text);
    assertThat(file.toFile().setExecutable(true)).isTrue();
  }

  private Ran run(Path launcher, String... args) throws Exception {
    List<String> command = new ArrayList<>(List.of(launcher.toString()));
    command.addAll(List.of(args));
    Path err = folder.resolve("err");
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().keySet().removeAll(Set.of("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"));
    builder.environment().putAll(environment);
    // Java says on standard error that it picked them up.
    builder.environment().keySet().removeAll(Set.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"));
    Process process = builder.redirectError(err.toFile()).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Ran(process.waitFor(), out, Files.readString(err));
  }

  private Ran run(String... args) throws Exception {
    return run(home.resolve("dreambooth"), args);
  }

  @Test
  void shouldBuildOnce() throws Exception {
    assertThat(run("--version").err()).startsWith("Building dreambooth4j");
    Ran second = run("--version");

    assertThat(second.exitCode()).isZero();
    assertThat(second.out()).startsWith("dreambooth4j ");
    assertThat(second.err()).isEmpty();
    assertThat(builds).hasContent("-B -q -Dlauncher -DskipTests process-classes");
  }

  /** Apart from the build for the CPU, which stays. */
  @Test
  void shouldBuildWithTheLibrariesForGpusWhereTheyAreAskedFor() throws Exception {
    script(
        home.resolve("mvnw"),
        Files.readString(home.resolve("mvnw")) + "cp 'the classpath' target/classpath-cuda\n");
    run("--version");
    run("generate", "--device", "cuda", "--help");
    run("generate", "--device=CUDA", "--help");
    run("generate", "--device=cpu", "cuda", "--help");

    assertThat(Files.readAllLines(builds))
        .containsExactly(
            "-B -q -Dlauncher -DskipTests process-classes",
            "-B -q -Dlauncher -Pcuda -DskipTests process-classes");
  }

  /** NVRTC loads a library of its own by name when it compiles, from wherever it came itself. */
  @Test
  void shouldLetTheLoaderFindTheCudaLibrariesOfPython() throws Exception {
    Path packages = folder.resolve("an [env]*/lib/python3.12/site-packages/nvidia");
    Path old = folder.resolve("old/lib/python3.9/site-packages/nvidia");
    Files.createDirectories(packages.resolve("cu13/lib"));
    Files.createDirectories(packages.resolve("cudnn/lib"));
    Files.createDirectories(old.resolve("cuda_runtime/lib"));
    Files.createFile(packages.resolve("cu13/lib/libcudart.so.13"));
    Files.createFile(old.resolve("cuda_runtime/lib/libcudart.so.12"));
    script(
        home.resolve("mvnw"),
        """
        #!/bin/sh
        echo "$LD_LIBRARY_PATH" > path
        exit 1
        """);
    environment.put("VIRTUAL_ENV", folder.resolve("old").toString());
    environment.put("CONDA_PREFIX", folder.resolve("an [env]*").toString());
    environment.put("LD_LIBRARY_PATH", "/mine");
    run("generate", "--device", "cuda", "--help");
    assertThat(home.resolve("path"))
        .hasContent("/mine:" + packages.resolve("cu13/lib") + ":" + packages.resolve("cudnn/lib"));
    run("generate", "--help");
    assertThat(home.resolve("path")).hasContent("/mine");
  }

  @Test
  @DisabledIf("hasNvidiaDriver")
  void shouldForecastForAGpuWithoutItsLibraries() throws Exception {
    run("train", "--dry-run", "--device=cuda", "--help");

    assertThat(builds).hasContent("-B -q -Dlauncher -DskipTests process-classes");
  }

  /** Unless another is asked for. */
  @ParameterizedTest
  @CsvSource({
    "GenuineIntel, '', -Pmkl",
    "GenuineIntel, openblas, ''",
    "AuthenticAMD, '', ''",
    "AuthenticAMD, mkl, -Pmkl",
  })
  void shouldMultiplyByIntelsLibraryOnIntelsProcessors(String vendor, String asked, String profile)
      throws Exception {
    Path programs = Files.createDirectory(folder.resolve("programs"));
    script(programs.resolve("uname"), "#!/bin/sh\necho Linux x86_64\n");
    script(
        programs.resolve("grep"),
        "#!/bin/sh\ncase \"$*\" in *%s*/proc/cpuinfo) exit 0 ;; *) exit 1 ;; esac\n"
            .formatted(vendor));
    script(
        home.resolve("mvnw"),
        Files.readString(home.resolve("mvnw")) + "cp 'the classpath' target/classpath-mkl\n");
    environment.put("DREAMBOOTH_BLAS", asked);
    environment.put("PATH", programs + File.pathSeparator + System.getenv("PATH"));

    assertThat(run("--version").out()).startsWith("dreambooth4j ");
    assertThat(builds)
        .hasContent(
            "-B -q -Dlauncher %s-DskipTests process-classes"
                .formatted(profile.isEmpty() ? "" : profile + " "));
  }

  static boolean hasNvidiaDriver() {
    return Files.exists(Path.of("/proc/driver/nvidia/version"))
        || Files.exists(Path.of("/dev/dxg"));
  }

  @Test
  void shouldBuildAgainWhenASourceIsNewer() throws Exception {
    run("--version");
    Path source = Files.writeString(home.resolve("src/main/New.java"), "");
    Files.setLastModifiedTime(source, FileTime.from(Instant.now().plusSeconds(60)));
    run("--version");

    assertThat(Files.readAllLines(builds)).hasSize(2);
  }

  /** And not look at another in its place where its folder's name would be a pattern. */
  @Test
  void shouldBuildAgainWhenAJarHasGone() throws Exception {
    Path classpath = home.resolve("the classpath");
    String jars = Files.readString(classpath);
    Files.createFile(Files.createDirectory(home.resolve("lib1")).resolve("gone.jar"));
    Files.writeString(classpath, jars + File.pathSeparator + home.resolve("lib[1]/gone.jar"));
    run("--version");
    run("--version");

    assertThat(Files.readAllLines(builds)).hasSize(2);
  }

  @Test
  void shouldRunThroughASymbolicLinkFromAnotherFolder() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("db"), home.resolve("dreambooth"));

    assertThat(run(link, "--version").out()).startsWith("dreambooth4j ");
  }

  /**
   * An archive's home has a Java, which here says what it was asked for, and libraries for the CPU.
   */
  private void makeArchive() throws IOException {
    Files.createDirectories(home.resolve("lib/cpu"));
    Files.createDirectories(home.resolve("runtime/bin"));
    script(home.resolve("runtime/bin/java"), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
    environment.remove("DREAMBOOTH_BLAS");
  }

  /** By OpenBLAS on every processor. */
  @Test
  void shouldRunAnArchiveByItsOwnJavaWithoutBuilding() throws Exception {
    makeArchive();

    Ran ran = run("generate", "no such model", "a prompt of words");

    assertThat(ran.exitCode()).isZero();
    assertThat(ran.err()).isEmpty();
    assertThat(ran.out().lines())
        .contains("-Dorg.bytedeco.javacpp.cacheLibraries=false")
        .doesNotContain("-Dorg.bytedeco.openblas.load=mkl")
        .endsWith(
            "-cp",
            "%1$s/lib/cpu:%1$s/lib/natives:%1$s/lib/tokenizers:%1$s/lib/*"
                .formatted(home.toRealPath()),
            "dreambooth4j.cli.Main",
            "generate",
            "no such model",
            "a prompt of words");
    assertThat(builds).doesNotExist();
  }

  /**
   * An archive whose Java multiplies at these speeds in a trial, and otherwise says what it is
   * given.
   */
  private Path makeMultiplying(String told, String byItself) throws IOException {
    makeArchive();
    Path trials = folder.resolve("trials");
    script(
        home.resolve("runtime/bin/java"),
        """
        #!/bin/sh
        case "$*" in
          *ProductTrial*)
            echo "${OPENBLAS_CORETYPE:-}" >> '%s'
            if [ -n "${OPENBLAS_CORETYPE:-}" ]; then echo %s; else echo %s; fi ;;
          *)
            echo "kernels: ${OPENBLAS_CORETYPE:-its own}"
            printf '%%s\n' "$@" ;;
        esac
        """
            .formatted(trials, told, byItself));
    environment.put("XDG_CACHE_HOME", folder.resolve("cache").toString());
    environment.put("OPENBLAS_CORETYPE", "Haswell");
    return trials;
  }

  @Test
  void shouldLeaveOutAVariableThatSlowsProductsDownAndRememberIt() throws Exception {
    Path trials = makeMultiplying("104", "188");

    Ran first = run("train");
    Ran second = run("train");

    assertThat(first.err()).startsWith("Trying which library multiplies matrices fastest");
    assertThat(second.err()).isEmpty();
    assertThat(second.out()).isEqualTo(first.out());
    assertThat(first.out().lines())
        .contains(
            "kernels: its own",
            "-Ddreambooth.products=openblas 104, openblas-auto 188 GFLOP/s",
            "-Ddreambooth.unset=OPENBLAS_CORETYPE=Haswell");
    assertThat(Files.readAllLines(trials)).containsExactly("Haswell", "");
  }

  /** By less than a twentieth it is not worth it to differ from what the machine's user set. */
  @ParameterizedTest
  @CsvSource({"188, 104", "100, 104"})
  void shouldKeepAVariableThatCostsNothing(String told, String byItself) throws Exception {
    makeMultiplying(told, byItself);

    assertThat(run("train").out().lines())
        .contains("kernels: Haswell")
        .noneMatch(line -> line.startsWith("-Ddreambooth.unset"));
  }

  /** What failed for a passing reason is no result to keep, and no reason not to start. */
  @ParameterizedTest
  @ValueSource(strings = {"50; exit 1", "Infinity", "0"})
  void shouldTryAgainWhereATrialFailed(String told) throws Exception {
    Path trials = makeMultiplying(told, "104");
    assertThat(run("train").out()).contains("kernels: its own");
    assertThat(run("train").err()).startsWith("Trying");
    assertThat(Files.readAllLines(trials)).containsExactly("Haswell", "", "Haswell", "");
  }

  @Test
  void shouldTryAgainWhereWhatIsRememberedNamesNoLibrary() throws Exception {
    makeMultiplying("104", "188");
    run("train");
    Path remembered;
    try (Stream<Path> files = Files.list(folder.resolve("cache/dreambooth4j"))) {
      remembered = files.findFirst().orElseThrow();
    }
    Files.writeString(remembered, "damaged");
    Ran again = run("train");
    assertThat(again.err()).startsWith("Trying");
    assertThat(again.out()).contains("kernels: its own");
    assertThat(run("train").err()).isEmpty();
  }

  /** Also where its folder's name would be a pattern. */
  @ParameterizedTest
  @ValueSource(strings = {"my home", "a [new] home *", "[x]"})
  void shouldTryAgainWithAnotherVersionOfALibrary(String name) throws Exception {
    makeMultiplying("104", "188");
    home = Files.move(home, folder.resolve(name));
    Path jar = Files.createFile(home.resolve("lib/openblas-0.3.30-1.5.12.jar"));
    assertThat(run("train").err()).startsWith("Trying");
    assertThat(run("train").err()).isEmpty();
    Files.move(jar, home.resolve("lib/openblas-0.3.31-1.5.13.jar"));
    assertThat(run("train").err()).startsWith("Trying");
  }

  @Test
  void shouldSayThatNothingCanBeRemembered() throws Exception {
    makeMultiplying("104", "188");
    environment.put("XDG_CACHE_HOME", Files.createFile(folder.resolve("a file")).toString());
    Ran ran = run("train");
    assertThat(ran.out()).contains("kernels: its own");
    assertThat(ran.err())
        .startsWith("Trying")
        .contains("at every start", "a file/dreambooth4j cannot be written")
        .doesNotContain("once");
  }

  /** What is asked for is taken as it is; other processors and environments are tried anew. */
  @Test
  void shouldTryNothingWhereThereIsNoChoice() throws Exception {
    Path trials = makeMultiplying("104", "188");
    environment.put("DREAMBOOTH_BLAS", "openblas");
    assertThat(run("train").out()).contains("kernels: Haswell");
    environment.put("DREAMBOOTH_BLAS", "openblas-auto");
    assertThat(run("train").out()).contains("kernels: its own");
    environment.remove("DREAMBOOTH_BLAS");
    assertThat(run("train", "--help").err()).isEmpty();
    environment.remove("OPENBLAS_CORETYPE");
    assertThat(run("train").err()).isEmpty();
    assertThat(trials).doesNotExist();
    environment.put("OPENBLAS_CORETYPE", "Zen");
    assertThat(run("train").err()).startsWith("Trying");
  }

  @Test
  void shouldTakeAnArchivesLibrariesForGpusWhereTheyAreAskedFor() throws Exception {
    makeArchive();
    Files.createDirectories(home.resolve("lib/cuda"));

    Ran ran = run("generate", "--device", "cuda");

    assertThat(ran.out().lines())
        .contains("-Dorg.bytedeco.javacpp.platform.extension=-gpu")
        .anyMatch(line -> line.startsWith(home.toAbsolutePath() + "/lib/cuda:"))
        .noneMatch(line -> line.contains("/lib/cpu"));
  }

  /** A class path cannot hold it. */
  @Test
  void shouldRefuseAFolderWithAColon() throws Exception {
    makeArchive();
    Path there = folder.resolve("a:b");
    Files.move(home, there);

    Ran ran = run(there.resolve("dreambooth"), "--version");
    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err()).contains("lies in " + there.toRealPath() + ", where", "move it to a");
  }

  @Test
  void shouldSayWhatAnArchiveLacks() throws Exception {
    makeArchive();

    Ran cuda = run("generate", "--device", "cuda");
    assertThat(cuda.exitCode()).isEqualTo(4);
    assertThat(cuda.err()).contains("no libraries for --device cuda", "ends with -cuda");

    environment.put("DREAMBOOTH_BLAS", "mkl");
    Ran mkl = run("generate");
    assertThat(mkl.exitCode()).isEqualTo(2);
    assertThat(mkl.err()).contains("DREAMBOOTH_BLAS=mkl");
  }

  @Test
  void shouldSayThatTheBuildFailed() throws Exception {
    script(home.resolve("mvnw"), "#!/bin/sh\necho 'no network'\nexit 1\n");

    Ran ran = run("--version");

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err()).contains("no network", "error: the build failed");
    assertThat(home.resolve("target/launcher.stamp")).doesNotExist();
  }

  @Test
  void shouldHandOnArgumentsAndExitCodes() throws Exception {
    Ran ran = run("generate", "no such model", "a prompt of words");

    assertThat(ran.exitCode()).isEqualTo(3);
    assertThat(ran.err()).contains("error: no such model: expected a model folder");
  }
}
