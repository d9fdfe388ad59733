package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.kernel.Emulator;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.engine.kernel.TorchCalls;
import dreambooth4j.engine.op.CountedBackend;
import dreambooth4j.model.UNetConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What a graph of a whole step of Stable Diffusion 1.5 will hold on a GPU, counted where there is
 * none: the step is run dry, as a memory plan runs it, and whatever would be launched is counted.
 */
@Tag("kernels")
class LaunchBudgetTest {
  /** The most nodes that a step may have. Whoever needs fewer lowers it. */
  private static final int BUDGET = 2_253;

  private static final Path PAGE = Path.of("docs", "kernels.md");
  private static final String BEGIN = "<!-- launches: written by LaunchBudgetTest -->\n";
  private static final String END = "<!-- end of launches -->\n";

  /** Operators that launch nothing: they make views, allocate, or consist of others. */
  private static final String NOTHING =
      "_to_copy _unsafe_view as_strided clone contiguous empty empty_like empty_strided flatten"
          + " linear matmul narrow permute reshape resize_ slice squeeze t to transpose view";

  private static final String PRODUCTS = "mm addmm addmm_ bmm baddbmm_";
  private static final String ELEMENTWISE =
      "add add_ arange cat cos div_ exp_ lerp_ mul mul_ silu silu_backward sin sub"
          + " upsample_nearest2d upsample_nearest2d_backward";

  /** Kernels of FlashAttention-2's backward: of dy·y, of the gradients, and dq's conversion. */
  private static final int ATTENTION_BACKWARD = 3;

  /** What is counted, until the recording begins anew. */
  private static final class Census implements Recorder {
    final Map<String, Integer> nodes = new TreeMap<>();

    void add(String kind, int count) {
      nodes.merge(kind, count, Integer::sum);
    }

    /** Of what {@link CountedBackend} tells. */
    void told(String what) {
      if (what.startsWith("kernel ")) {
        add(
            "our "
                + what.substring("kernel ".length()).replaceFirst("_(f32|bf16|f16)(_odd)?$", ""),
            1);
      } else {
        add(what, what.equals("attention backward") ? ATTENTION_BACKWARD : 1);
      }
    }

    private void called(String operator) {
      String name = operator.replace("aten::", "");
      if (is(name, PRODUCTS)) {
        add("libtorch's matrix products", 1);
      } else if (is(name, ELEMENTWISE)) {
        add("libtorch's elementwise ops", 1);
      } else if (is(name, "fill_ zero_")) {
        add("fills", 1);
      } else if (name.equals("copy_")) {
        add("copies", 1);
      } else if (name.equals("sum")) {
        add("libtorch's sums", 1);
      } else {
        assertThat(is(name, NOTHING)).as("whether operator " + name + " is known here").isTrue();
      }
    }

    private static boolean is(String name, String kind) {
      return (" " + kind + " ").contains(" " + name + " ");
    }

    @Override
    public Runnable record(Runnable work) {
      nodes.clear();
      TorchCalls.of(work).forEach(this::called);
      return () -> {};
    }

    @Override
    public void close() {
      // nothing was recorded
    }

    int total() {
      return nodes.values().stream().mapToInt(Integer::intValue).sum();
    }

    String table() {
      StringBuilder text = new StringBuilder("| what | nodes |\n|---|---|\n");
      nodes.forEach((what, count) -> text.append("| %s | %d |\n".formatted(what, count)));
      return text.append("| **all** | **%d** |\n".formatted(total())).toString();
    }
  }

  private static Census stableDiffusion() throws IOException {
    UNetConfig config =
        UNetConfig.of(
            new ObjectMapper().readTree(Path.of("bench", "models", "sd15-unet.json").toFile()),
            "Stable Diffusion 1.5");
    Census census = new Census();
    try (Arena run = Arena.open("census", CountedBackend.dry(census::told));
        MadeUpTraining training =
            new MadeUpTraining(
                run,
                config,
                new MadeUpTraining.Sizes(1, 64, 77),
                new MadeUpTraining.Manner(
                    DType.BF16, new MemoryConfig(Checkpointing.FALSE, false, false)))) {
      training.capture(census);
      training.step();
      training.step();
    }
    return census;
  }

  @Test
  void shouldLaunchNoMoreInAStepThanItsBudget() throws IOException {
    assumeTrue(Emulator.available(), "g++ is not installed");
    Census census = stableDiffusion();
    assertThat(census.total()).as(census.table()).isBetween(BUDGET / 2, BUDGET);
    String page = Files.readString(PAGE);
    int from = page.indexOf(BEGIN) + BEGIN.length();
    int to = page.indexOf(END);
    if (System.getenv("DOCS_WRITE") != null) {
      Files.writeString(PAGE, page.substring(0, from) + census.table() + page.substring(to));
      return;
    }
    assertThat(page.substring(from, to))
        .as("run: DOCS_WRITE=1 ./mvnw -Pkernels test -Dtest=LaunchBudgetTest")
        .isEqualTo(census.table());
  }
}
