package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every kernel, compiled for every architecture that it names. */
@Tag("kernels")
class KernelCompileTest {
  private static final String SUFFIX = "_(f32|bf16|f16)(_odd)?$";
  private static final String ODD = "_odd";

  /** Of a thread, so that a multiprocessor has two blocks of 256 at least. */
  private static final int MOST_REGISTERS = 128;

  /** A warp holds a row, however wide. */
  private static final Map<String, Integer> MORE_REGISTERS = Map.of("layer_norm_backward", 168);

  /** Which machine code the page counts. */
  private static final int HOPPER = 90;

  @BeforeAll
  static void withoutDriver() throws IOException, InterruptedException {
    // Without a compiler to make the stub with, there may be a driver.
    if (Emulator.available()) {
      StubDriver.load();
    }
  }

  private static final KernelCache CACHE = new KernelCache(Path.of("target", "kernels"));
  private static final Path PAGE = Path.of("docs", "kernels.md");
  private static final String BEGIN = "<!-- entries: written by KernelCompileTest -->\n";
  private static final String END = "<!-- end of entries -->\n";

  static Stream<Arguments> all() {
    return KernelSource.all().stream()
        .flatMap(s -> KernelSource.ARCHITECTURES.stream().map(a -> Arguments.of(s, a)));
  }

  @ParameterizedTest
  @MethodSource("all")
  void shouldHaveEveryEntryAndSpillNothing(KernelSource source, int architecture) {
    KernelCompiler.Compiled compiled = CACHE.get(source, architecture, "none");
    assertThat(compiled.cubin()).startsWith(0x7F, 'E', 'L', 'F');
    List<EntryReport> reports = EntryReport.of(compiled.log());
    assertThat(reports)
        .extracting(EntryReport::entry)
        .containsExactlyInAnyOrderElementsOf(source.entries());
    assertThat(reports).allSatisfy(each -> assertThat(each.spillBytes()).as(each.entry()).isZero());
    assertThat(reports).allSatisfy(each -> assertThat(each.stackBytes()).as(each.entry()).isZero());
  }

  @ParameterizedTest
  @MethodSource("all")
  void shouldLeaveRoomForASecondBlock(KernelSource source, int architecture) {
    String log = CACHE.get(source, architecture, "none").log();
    assertThat(EntryReport.of(log))
        .allSatisfy(
            each ->
                assertThat(each.registers())
                    .as(each.entry())
                    .isLessThanOrEqualTo(
                        MORE_REGISTERS.getOrDefault(
                            each.entry().replaceFirst(SUFFIX, ""), MOST_REGISTERS)));
  }

  /** An entry that has another for odd widths is the one of whole vectors. */
  @ParameterizedTest
  @MethodSource("all")
  void shouldLoadSixteenBytesAtOnce(KernelSource source, int architecture) {
    Map<String, MachineCode> code = MachineCode.of(CACHE.get(source, architecture, "none").cubin());
    assertThat(code.keySet()).containsExactlyInAnyOrderElementsOf(source.entries());
    code.forEach(
        (entry, each) -> {
          if (code.containsKey(entry + ODD)) {
            assertThat(each.wideLoads()).as(entry).isPositive();
          }
          if (entry.endsWith(ODD)) {
            assertThat(each.wideLoads() + each.wideStores()).as(entry).isZero();
          }
        });
  }

  @Test
  void shouldCompileOnceForOneDriver(@TempDir Path folder) throws IOException {
    KernelCache cache = new KernelCache(folder);
    byte[] first = cache.get(KernelSource.GLOBAL_NORM, 90, "a").cubin();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path each : files.toList()) {
        // What is read back shows that nothing is compiled again.
        Files.writeString(each, "kept");
      }
    }
    assertThat(cache.get(KernelSource.GLOBAL_NORM, 90, "a").log()).isEqualTo("kept");
    assertThat(cache.get(KernelSource.GLOBAL_NORM, 90, "b").cubin()).isEqualTo(first);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).hasSize(4);
    }
  }

  @Test
  void shouldHaveWhatTheAssemblerSaysInTheDocs() throws IOException {
    String page = Files.readString(PAGE);
    int from = page.indexOf(BEGIN) + BEGIN.length();
    int to = page.indexOf(END);
    if (System.getenv("DOCS_WRITE") != null) {
      Files.writeString(PAGE, page.substring(0, from) + entries() + page.substring(to));
      return;
    }
    assertThat(page.substring(from, to))
        .as("run: DOCS_WRITE=1 ./mvnw -Pkernels test -Dtest=KernelCompileTest")
        .isEqualTo(entries());
  }

  /** Registers of each entry: the most over the architectures. */
  private static String entries() {
    StringBuilder text =
        new StringBuilder("| entry | " + "registers f32 | bf16 | f16 | f32, odd | bf16, odd | ")
            .append("f16, odd | shared | loads | stores |\n")
            .append("|---|---|---|---|---|---|---|---|---|---|\n");
    for (KernelSource source : KernelSource.all()) {
      Map<String, Integer> registers = new TreeMap<>();
      Map<String, Integer> shared = new TreeMap<>();
      Map<String, MachineCode> code = MachineCode.of(CACHE.get(source, HOPPER, "none").cubin());
      for (int architecture : KernelSource.ARCHITECTURES) {
        for (EntryReport each : EntryReport.of(CACHE.get(source, architecture, "none").log())) {
          registers.merge(each.entry(), each.registers(), Math::max);
          shared.merge(each.entry().replaceFirst(SUFFIX, ""), each.sharedBytes(), Math::max);
        }
      }
      shared.forEach(
          (stem, bytes) -> {
            text.append("| ").append(stem);
            for (String suffix :
                List.of("_f32", "_bf16", "_f16", "_f32_odd", "_bf16_odd", "_f16_odd")) {
              // An entry that knows one type only stands in the first column.
              String entry = registers.containsKey(stem) ? stem : stem + suffix;
              boolean listed = !entry.equals(stem) || suffix.equals("_f32");
              text.append(" | ")
                  .append(listed && registers.containsKey(entry) ? registers.get(entry) : "");
            }
            MachineCode moves = code.getOrDefault(stem + "_bf16", code.get(stem));
            text.append(" | %d | %s |\n".formatted(bytes, moves == null ? " | " : moves));
          });
    }
    return text.toString();
  }
}
