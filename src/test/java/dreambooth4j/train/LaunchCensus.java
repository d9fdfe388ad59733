package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.kernel.CudaRecorder;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.engine.kernel.StandIn;
import dreambooth4j.engine.kernel.TorchCalls;
import dreambooth4j.engine.op.CountedBackend;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.UNetConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * How many nodes of what kind the graph of a captured step has: {@link #dry} counts what would be
 * launched, {@link #captured} what libtorch does launch on a {@link StandIn}.
 */
record LaunchCensus(Map<String, Integer> nodes) {
  private static final MadeUpTraining.Sizes ONE_AND_ONE = new MadeUpTraining.Sizes(1, 64, 77);
  private static final MadeUpTraining.Manner BF16 =
      new MadeUpTraining.Manner(DType.BF16, new MemoryConfig(Checkpointing.FALSE, false, false));

  private static final String PRODUCTS = "libtorch's matrix products";
  private static final String ELEMENTWISE = "libtorch's elementwise ops";
  private static final String SUMS = "libtorch's sums";

  /** Zeros of counters by which the blocks of a sum find out which is the last: not counted dry. */
  static final String COUNTERS = "fills of libtorch's sums";

  /** Operators that launch nothing: they make views, allocate, or consist of others. */
  private static final String NOTHING =
      "_to_copy _unsafe_view as_strided clone contiguous empty empty_like empty_strided flatten"
          + " linear matmul narrow permute reshape resize_ slice squeeze t to transpose view";

  /** Kinds of the operators that launch one kernel each. */
  private static final Map<String, String> OPERATORS =
      Map.of(
          PRODUCTS,
          "mm addmm addmm_ bmm baddbmm_",
          ELEMENTWISE,
          "add add_ arange cat cos div_ exp_ lerp_ mul mul_ silu silu_backward sin sub"
              + " upsample_nearest2d upsample_nearest2d_backward",
          "fills",
          "fill_ zero_",
          "copies",
          "copy_",
          SUMS,
          "sum");

  /** Kernels of FlashAttention-2's backward: of dy·y, of the gradients, and dq's conversion. */
  private static final int ATTENTION_BACKWARD = 3;

  /** What is counted since the recording began. */
  private static final class Counting implements Recorder {
    final Map<String, Integer> nodes = new TreeMap<>();

    private void add(String kind, int count) {
      nodes.merge(kind, count, Integer::sum);
    }

    /** Of what {@link CountedBackend} tells. */
    void told(String what) {
      if (what.startsWith("kernel ")) {
        add(ours(what.substring("kernel ".length())), 1);
      } else {
        add(what, what.equals("attention backward") ? ATTENTION_BACKWARD : 1);
      }
    }

    /** Counts operators that launch, without those that they are made of. */
    private void called(List<String> operators) {
      int within = Integer.MAX_VALUE;
      for (String each : operators) {
        String name = each.strip().replace("aten::", "");
        int depth = each.length() - each.stripLeading().length();
        if (depth > within) {
          continue;
        }
        boolean launches = !is(name, NOTHING);
        within = launches ? depth : Integer.MAX_VALUE;
        if (launches) {
          add(kind(name), 1);
        }
      }
    }

    private static String kind(String operator) {
      List<String> kinds =
          OPERATORS.entrySet().stream()
              .filter(each -> is(operator, each.getValue()))
              .map(Map.Entry::getKey)
              .toList();
      assertThat(kinds).as("the kind of operator " + operator + ", in this file").hasSize(1);
      return kinds.get(0);
    }

    private static boolean is(String name, String kind) {
      return (" " + kind + " ").contains(" " + name + " ");
    }

    @Override
    public Runnable record(Runnable work) {
      nodes.clear();
      called(TorchCalls.of(work));
      return () -> {};
    }

    @Override
    public void close() {
      // nothing was recorded
    }
  }

  /**
   * Stable Diffusion 1.5's UNet, of the same layers with {@code share} times fewer channels.
   *
   * @param share 5 at most, which leaves heads of 8 channels
   */
  static UNetConfig stableDiffusion(int share) throws IOException {
    ObjectNode config =
        (ObjectNode)
            new ObjectMapper().readTree(Path.of("bench", "models", "sd15-unet.json").toFile());
    ArrayNode channels = config.arrayNode();
    for (JsonNode each : config.get("block_out_channels")) {
      channels.add(each.intValue() / share);
    }
    config.set("block_out_channels", channels);
    return UNetConfig.of(config, "Stable Diffusion 1.5");
  }

  /** Of one instance and one class image of 512 px in bf16; nothing is computed. */
  static LaunchCensus dry(UNetConfig config) {
    Counting counting = new Counting();
    try (Arena run = Arena.open("census", CountedBackend.dry(counting::told));
        MadeUpTraining training = new MadeUpTraining(run, config, ONE_AND_ONE, BF16)) {
      training.capture(counting);
      training.step();
      training.step();
    }
    return new LaunchCensus(counting.nodes);
  }

  /** Of the same step, captured by libtorch and replayed once. */
  static LaunchCensus captured(UNetConfig config, OpBackend backend) {
    StandIn.forget();
    try (Arena run = Arena.open("census", backend);
        MadeUpTraining training = new MadeUpTraining(run, config, ONE_AND_ONE, BF16)) {
      training.capture(new CudaRecorder());
      for (int step = 0; step < 3; step++) { // as it is, recorded, and again
        training.step();
      }
    }
    Map<String, Integer> nodes = new TreeMap<>();
    List<String> all = StandIn.report().nodes();
    for (int i = 0; i < all.size(); i++) {
      boolean clears = all.get(i).startsWith("fill ") && isSum(all.get(i + 1));
      nodes.merge(clears ? COUNTERS : kind(all.get(i)), 1, Integer::sum);
    }
    return new LaunchCensus(nodes);
  }

  /** Of the last step that was captured, those nodes that may run at once with earlier ones. */
  static LaunchCensus beside() {
    Map<String, Integer> nodes = new TreeMap<>();
    for (String each : StandIn.report().beside()) {
      nodes.merge(kind(each.substring(each.indexOf(' ') + 1)), 1, Integer::sum);
    }
    return new LaunchCensus(nodes);
  }

  /** Of a node's kind and name. */
  private static String kind(String node) {
    if (node.startsWith("product ")) {
      return PRODUCTS;
    } else if (node.startsWith("convolution ")) {
      return "convolution "
          + switch (node.replaceFirst("convolution cudnnConvolution", "")) {
            case "Forward" -> "forward";
            case "BackwardData" -> "data";
            case "BackwardFilter" -> "filter";
            default -> "biasGradient";
          };
    } else if (node.startsWith("fill ") || node.contains("FillFunctor")) {
      return "fills";
    } else if (node.startsWith("copy ") || node.matches(".*(direct|bfloat16)_copy_kernel.*")) {
      return "copies";
    } else if (isSum(node)) {
      return SUMS;
    } else if (node.contains("::flash_bwd_")) {
      return "attention backward";
    } else if (node.contains("::flash_fwd_")) {
      return "attention forward";
    }
    String kernel = node.replaceFirst("kernel ", "");
    return kernel.matches("\\w+") ? ours(kernel) : ELEMENTWISE;
  }

  private static boolean isSum(String node) {
    return node.contains("::reduce_kernel<");
  }

  private static String ours(String entry) {
    return "our " + entry.replaceFirst("_(f32|bf16|f16)(_odd)?$", "");
  }

  int total() {
    return nodes.values().stream().mapToInt(Integer::intValue).sum();
  }

  /** As Markdown. */
  String table() {
    StringBuilder text = new StringBuilder("| what | nodes |\n|---|---|\n");
    nodes.forEach((what, count) -> text.append("| %s | %d |\n".formatted(what, count)));
    return text.append("| **all** | **%d** |\n".formatted(total())).toString();
  }
}
