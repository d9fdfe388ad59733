package dreambooth4j.verify;

import dreambooth4j.FolderEntries;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Where the libraries lie that libtorch for GPUs and our kernels load: in the system, in a CUDA
 * toolkit, or among the {@code nvidia-*} packages of a Python installation. Only looks at folders;
 * loads and runs nothing.
 */
public final class CudaLibraries {
  /**
   * A library by the name that is loaded.
   *
   * @param origin what installs it: a package of pip's, or words
   */
  private record Library(String file, String origin) {
    boolean isDriver() {
      return file.equals(DRIVER);
    }
  }

  private static final String DRIVER = "libcuda.so.1";

  /** {@code readelf -d} of libtorch 2.10's GPU libraries and their bindings, and NVRTC. */
  private static final List<Library> NEEDED =
      List.of(
          new Library(DRIVER, "NVIDIA's driver"),
          new Library("libcudart.so.13", "nvidia-cuda-runtime"),
          new Library("libcublas.so.13", "nvidia-cublas"),
          new Library("libcublasLt.so.13", "nvidia-cublas"),
          new Library("libcudnn.so.9", "nvidia-cudnn-cu13"),
          new Library("libcudnn_graph.so.9", "nvidia-cudnn-cu13"),
          new Library("libcudnn_ops.so.9", "nvidia-cudnn-cu13"),
          new Library("libcudnn_cnn.so.9", "nvidia-cudnn-cu13"),
          new Library("libcudnn_adv.so.9", "nvidia-cudnn-cu13"),
          new Library("libnvrtc.so.13", "nvidia-cuda-nvrtc"),
          new Library("libcufft.so.12", "nvidia-cufft"),
          new Library("libcurand.so.10", "nvidia-curand"),
          new Library("libcusolver.so.12", "nvidia-cusolver"),
          new Library("libcusolverMg.so.12", "nvidia-cusolver"),
          new Library("libcusparse.so.12", "nvidia-cusparse"),
          new Library("libnvJitLink.so.13", "nvidia-nvjitlink"),
          new Library("libnccl.so.2", "nvidia-nccl-cu13"),
          new Library("libcufile.so.0", "nvidia-cufile"),
          new Library("libcupti.so.13", "nvidia-cuda-cupti"));

  /** Where the loader looks without being told, whatever its cache says. */
  private static final List<String> SYSTEM =
      List.of(
          "lib/x86_64-linux-gnu",
          "usr/lib/x86_64-linux-gnu",
          "lib64",
          "usr/lib64",
          "lib",
          "usr/lib",
          "usr/lib/wsl/lib");

  private static final List<String> IN_TOOLKIT =
      List.of("lib64", "targets/x86_64-linux/lib", "lib", "extras/CUPTI/lib64");

  private final Path root;
  private final Path home;
  private final Map<String, String> environment;
  private final Set<Path> known = new LinkedHashSet<>();
  private final Set<Path> others = new LinkedHashSet<>();
  private final List<String> looked = new ArrayList<>();

  /** Looks under {@code root}, in {@code home} and where the environment points to. */
  CudaLibraries(Path root, Path home, Map<String, String> environment) {
    this.root = root;
    this.home = home;
    this.environment = environment;
    collect();
  }

  /** Of this machine. */
  public static CudaLibraries ofMachine() {
    return new CudaLibraries(
        Path.of("/"), Path.of(System.getProperty("user.home", "")), System.getenv());
  }

  private void collect() {
    for (String each : variable("LD_LIBRARY_PATH").split(File.pathSeparator, -1)) {
      add(known, path(each));
    }
    looked.add("LD_LIBRARY_PATH");
    SYSTEM.forEach(each -> add(known, root.resolve(each)));
    for (Path file : matching(root.resolve("etc/ld.so.conf.d"), "*.conf")) {
      configured(file).forEach(each -> add(known, each));
    }
    looked.add("the loader's folders and /etc/ld.so.conf.d");
    for (String name : List.of("CUDA_HOME", "CUDA_PATH")) {
      toolkit(path(variable(name)));
      looked.add(name);
    }
    matching(root.resolve("usr/local"), "cuda*").forEach(this::toolkit);
    toolkit(root.resolve("opt/cuda"));
    looked.add("/usr/local/cuda*, /opt/cuda");
    for (String name : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
      python(path(variable(name)));
      looked.add(name);
    }
    python(home.resolve(".local"));
    matching(home.resolve(".pyenv/versions"), "*").forEach(this::python);
    python(root.resolve("usr/local"));
    python(root.resolve("usr"));
    looked.add("nvidia/*/lib of Python in ~/.local, ~/.pyenv, /usr/local, /usr");
  }

  private void toolkit(@Nullable Path folder) {
    if (folder != null) {
      IN_TOOLKIT.forEach(each -> add(others, folder.resolve(each)));
    }
  }

  /** A prefix of Python's: its own libraries, as conda has them, and those of its packages. */
  private void python(@Nullable Path prefix) {
    if (prefix == null) {
      return;
    }
    add(others, prefix.resolve("lib"));
    for (String lib : List.of("lib", "lib64")) {
      for (Path version : matching(prefix.resolve(lib), "python3*")) {
        for (String packages : List.of("site-packages", "dist-packages")) {
          matching(version.resolve(packages).resolve("nvidia"), "*")
              .forEach(each -> add(others, each.resolve("lib")));
        }
      }
    }
  }

  private String variable(String name) {
    return environment.getOrDefault(name, "");
  }

  private static @Nullable Path path(String text) {
    try {
      return text.isBlank() ? null : Path.of(text);
    } catch (InvalidPathException e) {
      return null;
    }
  }

  private void add(Set<Path> folders, @Nullable Path folder) {
    if (folder != null && Files.isDirectory(folder) && !known.contains(folder)) {
      folders.add(folder);
    }
  }

  private static List<Path> configured(Path file) {
    try {
      return Files.readAllLines(file, StandardCharsets.ISO_8859_1).stream()
          .map(String::strip)
          .filter(line -> line.startsWith("/"))
          .map(Path::of)
          .toList();
    } catch (IOException | UncheckedIOException | InvalidPathException e) {
      return List.of();
    }
  }

  /** In the order of their names, the highest version first. */
  private static List<Path> matching(Path folder, String glob) {
    PathMatcher matcher = folder.getFileSystem().getPathMatcher("glob:" + glob);
    try {
      return FolderEntries.of(folder).stream()
          .filter(entry -> matcher.matches(entry.getFileName()))
          .sorted(Collections.reverseOrder())
          .toList();
    } catch (IOException e) {
      return List.of();
    }
  }

  /** Where a library lies; null if nowhere. */
  private @Nullable Path find(Library library) {
    for (Set<Path> folders : List.of(known, others)) {
      for (Path folder : folders) {
        if (Files.exists(folder.resolve(library.file))) {
          return folder;
        }
      }
    }
    return null;
  }

  /** Of other versions than the one that is loaded, the first; null if there is none. */
  private @Nullable Path otherVersion(Library library) {
    String stem = library.file.substring(0, library.file.indexOf(".so.") + 4);
    for (Set<Path> folders : List.of(known, others)) {
      for (Path folder : folders) {
        List<Path> found = matching(folder, stem + "*");
        if (!found.isEmpty()) {
          return found.get(0);
        }
      }
    }
    return null;
  }

  /** What was found where, what was looked at, and what to do: lines for people. */
  public List<String> report() {
    Map<Library, Path> found = new LinkedHashMap<>();
    List<String> lines = new ArrayList<>();
    for (Library each : NEEDED) {
      Path folder = find(each);
      if (folder != null) {
        found.put(each, folder);
      }
      lines.add("  %-20s %s".formatted(each.file, folder == null ? missing(each) : folder));
    }
    lines.add(0, "CUDA libraries: %d of %d found".formatted(found.size(), NEEDED.size()));
    lines.add("  looked in: " + String.join("; ", looked));
    lines.addAll(advice(found));
    return lines;
  }

  private String missing(Library library) {
    Path other = otherVersion(library);
    return other == null ? "missing" : "missing; another version is " + other;
  }

  private List<String> advice(Map<Library, Path> found) {
    List<String> lines = new ArrayList<>();
    List<Library> missing = NEEDED.stream().filter(each -> !found.containsKey(each)).toList();
    if (missing.stream().anyMatch(Library::isDriver)) {
      lines.add("  the driver is missing: install NVIDIA's, 580 or newer, on a machine with a GPU");
    }
    String packages =
        missing.stream()
            .filter(each -> !each.isDriver())
            .map(Library::origin)
            .distinct()
            .collect(Collectors.joining(" "));
    if (!packages.isEmpty()) {
      lines.add(
          "  what is missing comes with CUDA 13 and cuDNN 9, or in a Python environment with");
      lines.add("    pip install " + packages);
    }
    String folders =
        found.values().stream()
            .filter(others::contains)
            .map(Path::toString)
            .distinct()
            .collect(Collectors.joining(File.pathSeparator));
    if (!folders.isEmpty()) {
      lines.add(
          "  the loader does not look everywhere by itself; before dreambooth --device cuda:");
      lines.add(
          "    export LD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
              .formatted(quoted(folders)));
    } else if (missing.isEmpty()) {
      lines.add("  the loader finds all of them: dreambooth --device cuda");
    }
    return lines;
  }

  /** For a shell. */
  private static String quoted(String text) {
    return text.matches("[\\w/.:+-]*") ? text : "'" + text.replace("'", "'\\''") + "'";
  }
}
