package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.LowRank;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** How a layer's factors make the change of its weight: one record for each kind of adapter. */
sealed interface LoraChange {
  /** What alpha is divided by; empty where the change is not to be scaled. */
  OptionalLong rank();

  /** The change, F32 of the weight's shape, before it is scaled. */
  Tensor compute(Arena arena);

  /**
   * The kind that a layer's tensors are, which fit its weight.
   *
   * @throws Problem when they do not, or are of no kind that is known
   */
  static LoraChange of(LoraTensors tensors) {
    for (LoraFactor each : tensors.byFactor().keySet()) {
      switch (each) {
        case DOWN, UP, MID -> {
          return new Lora(tensors);
        }
        case HADA_W1_A, HADA_W1_B, HADA_W2_A, HADA_W2_B, HADA_T1, HADA_T2 -> {
          return new Loha(tensors);
        }
        case LOKR_W1, LOKR_W1_A, LOKR_W1_B, LOKR_W2, LOKR_W2_A, LOKR_W2_B, LOKR_T2 -> {
          return new Lokr(tensors);
        }
        default -> {
          // says nothing of the kind
        }
      }
    }
    throw Problem.data(
        "%s: layer %s: expected the factors of LoRA, LoHa or LoKr, found none"
            .formatted(tensors.file().path(), tensors.spelling()));
  }

  private static long[] shape(LoraTensors tensors) {
    return tensors.shape().stream().mapToLong(Long::longValue).toArray();
  }

  /** Refuses factors of another kind. */
  private static void requireOnly(LoraTensors tensors, String kind, String prefix) {
    for (LoraFactor each : tensors.byFactor().keySet()) {
      if (each != LoraFactor.MAGNITUDE && !each.label().startsWith(prefix)) {
        throw Problem.data(
            "%s: tensor %s: expected none beside the layer's factors of %s"
                .formatted(tensors.file().path(), tensors.info(each).name(), kind));
      }
    }
  }

  /** LoRA: up · down. */
  record Lora(LoraTensors tensors, LoraProduct product) implements LoraChange {
    Lora(LoraTensors tensors) {
      this(
          tensors, new LoraProduct(tensors, LoraFactor.UP, LoraFactor.MID, LoraFactor.DOWN, false));
      requireOnly(tensors, "LoRA", "lora_");
      product.require(tensors.outputs(), tensors.columns());
      if (!tensors.has(LoraFactor.MID)) {
        List<Long> found = tensors.info(LoraFactor.DOWN).shape();
        List<Long> wanted = tensors.shape();
        boolean alike = found.size() == wanted.size() || tensors.area() == 1;
        for (int i = 1; alike && i < Math.min(found.size(), wanted.size()); i++) {
          alike = found.get(i).equals(wanted.get(i));
        }
        tensors.require(
            alike,
            LoraFactor.DOWN,
            "[%d, %s]"
                .formatted(
                    product.rank(),
                    wanted.subList(1, wanted.size()).toString().replaceAll("[\\[\\]]", "")));
      }
    }

    @Override
    public OptionalLong rank() {
      return OptionalLong.of(product.rank());
    }

    @Override
    public Tensor compute(Arena arena) {
      return product.compute(arena, shape(tensors));
    }
  }

  /** LoHa: two products, multiplied element by element. */
  record Loha(LoraTensors tensors, LoraProduct first, LoraProduct second) implements LoraChange {
    Loha(LoraTensors tensors) {
      this(
          tensors,
          new LoraProduct(
              tensors, LoraFactor.HADA_W1_A, LoraFactor.HADA_T1, LoraFactor.HADA_W1_B, true),
          new LoraProduct(
              tensors, LoraFactor.HADA_W2_A, LoraFactor.HADA_T2, LoraFactor.HADA_W2_B, true));
      requireOnly(tensors, "LoHa", "hada_");
      first.require(tensors.outputs(), tensors.columns());
      second.require(tensors.outputs(), tensors.columns());
    }

    @Override
    public OptionalLong rank() {
      return OptionalLong.of(first.rank());
    }

    @Override
    public Tensor compute(Arena arena) {
      long[] shape = shape(tensors);
      return LowRank.hadamard(arena, first.compute(arena, shape), second.compute(arena, shape));
    }
  }

  /**
   * LoKr: the Kronecker product of two matrices, each whole or a product itself.
   *
   * @param first null where it is whole
   * @param second null where it is whole
   */
  record Lokr(LoraTensors tensors, @Nullable LoraProduct first, @Nullable LoraProduct second)
      implements LoraChange {
    Lokr(LoraTensors tensors) {
      this(
          tensors,
          tensors.has(LoraFactor.LOKR_W1)
              ? null
              : new LoraProduct(tensors, LoraFactor.LOKR_W1_A, null, LoraFactor.LOKR_W1_B, true),
          tensors.has(LoraFactor.LOKR_W2)
              ? null
              : new LoraProduct(
                  tensors, LoraFactor.LOKR_W2_A, LoraFactor.LOKR_T2, LoraFactor.LOKR_W2_B, true));
      requireOnly(tensors, "LoKr", "lokr_");
      long rows = rows(first, LoraFactor.LOKR_W1) * rows(second, LoraFactor.LOKR_W2);
      long columns = columns(first, LoraFactor.LOKR_W1) * columns(second, LoraFactor.LOKR_W2);
      LoraFactor shown = second == null ? LoraFactor.LOKR_W2 : LoraFactor.LOKR_W2_B;
      tensors.require(
          rows == tensors.outputs() && columns == tensors.columns(),
          shown,
          "what makes %d × %d with the first, not %d × %d"
              .formatted(tensors.outputs(), tensors.columns(), rows, columns));
      if (second == null) {
        List<Long> whole = tensors.info(LoraFactor.LOKR_W2).shape();
        tensors.require(
            whole.size() == 2
                ? tensors.area() == 1
                : whole.subList(2, whole.size()).equals(tail(tensors.shape())),
            LoraFactor.LOKR_W2,
            "the layer's kernel");
      } else {
        tensors.require(
            second.columns() % tensors.area() == 0, LoraFactor.LOKR_W2_B, "whole kernels");
      }
    }

    private static List<Long> tail(List<Long> shape) {
      return shape.size() == 4 ? shape.subList(2, 4) : List.of(1L, 1L);
    }

    private long rows(@Nullable LoraProduct product, LoraFactor whole) {
      return product == null ? sizes(whole).get(0) : product.rows();
    }

    private long columns(@Nullable LoraProduct product, LoraFactor whole) {
      return product == null
          ? sizes(whole).stream().skip(1).reduce(1L, Math::multiplyExact)
          : product.columns();
    }

    private List<Long> sizes(LoraFactor whole) {
      List<Long> sizes = tensors.info(whole).shape();
      boolean matrix = sizes.size() == 2 || (whole == LoraFactor.LOKR_W2 && sizes.size() == 4);
      tensors.require(matrix, whole, "two axes");
      return sizes;
    }

    /** LyCORIS scales by a rank only where there is one. */
    @Override
    public OptionalLong rank() {
      if (second != null) {
        return OptionalLong.of(second.rank());
      }
      return first == null ? OptionalLong.empty() : OptionalLong.of(first.rank());
    }

    @Override
    public Tensor compute(Arena arena) {
      Tensor left =
          first == null
              ? tensors.read(arena, LoraFactor.LOKR_W1)
              : first.compute(arena, first.rows(), first.columns());
      long[] shape = shape(tensors);
      long rows = shape[0] / left.size(0);
      long columns = shape[1] / left.size(1);
      long[] small =
          shape.length == 4
              ? new long[] {rows, columns, shape[2], shape[3]}
              : new long[] {rows, columns};
      Tensor right =
          second == null
              ? tensors.read(arena, LoraFactor.LOKR_W2).reshaped(small)
              : second.compute(arena, small);
      return LowRank.kronecker(arena, left, right, shape);
    }
  }
}
