package dreambooth4j.engine.op;

import dreambooth4j.engine.DType;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * The ways in which libtorch 2.10 computes attention, each forward and backward, without dropout.
 * Shapes are those of {@link Qkv}, y is as q. Must be called inside a native call.
 *
 * <p>The operators are called by themselves, so what libtorch's own choice would check is {@link
 * #takes}' business. <b>Those of CUDA have not run on a GPU yet</b>; a test holds their arguments
 * against the schemas that libtorch registers.
 */
enum AttentionEngine {
  /** The CPU's flash attention, of all float types. */
  CPU_FLASH {
    @Override
    boolean takes(Sizes sizes) {
      return false; // on a CPU it is the only one, and nothing is chosen
    }

    @Override
    Tensor[] forward(Operators to, Qkv in) {
      // In 16 bits libtorch takes thirty times as long as in F32 there, and ten times back.
      Tensor[] all =
          to.call(
              "_scaled_dot_product_flash_attention_for_cpu",
              Wide.asF32(in.q()),
              Wide.asF32(in.k()),
              Wide.asF32(in.v()),
              0.0,
              in.causal(),
              null,
              null);
      return Wide.is(in.q()) ? new Tensor[] {all[0].to(in.q().scalar_type()), all[1]} : all;
    }

    @Override
    Tensor[] backward(Operators to, Qkv in, Tensor[] out, Tensor dy) {
      Tensor[] all =
          to.call(
              "_scaled_dot_product_flash_attention_for_cpu_backward",
              Wide.asF32(dy),
              Wide.asF32(in.q()),
              Wide.asF32(in.k()),
              Wide.asF32(in.v()),
              Wide.asF32(out[0]),
              out[1],
              0.0,
              in.causal(),
              null,
              null);
      for (int i = 0; Wide.is(in.q()) && i < all.length; i++) {
        all[i] = all[i].to(in.q().scalar_type());
      }
      return all;
    }
  },

  /** Shapes alone, for dry tensors: what the flash kernels and the memory-efficient ones make. */
  DRY {
    @Override
    boolean takes(Sizes sizes) {
      return false; // nothing else is taken in a dry tree, and it in no other
    }

    @Override
    Tensor[] forward(Operators to, Qkv in) {
      return new Tensor[] {
        tokens(in.q()), Dry.sums(in.q(), in.q().size(0), in.q().size(1), in.q().size(2))
      };
    }

    @Override
    Tensor[] backward(Operators to, Qkv in, Tensor[] out, Tensor dy) {
      return new Tensor[] {tokens(in.q()), tokens(in.k()), tokens(in.v())};
    }

    /** [B, heads, N, d] that lies as [B, N, heads, d]. */
    private Tensor tokens(Tensor like) {
      return Dry.of(like, like.size(0), like.size(2), like.size(1), like.size(3)).transpose(1, 2);
    }
  },

  /** FlashAttention-2 (Dao 2023): 16 bits, sm_80 and later. */
  FLASH {
    @Override
    boolean takes(Sizes sizes) {
      return sizes.suitTensorCores();
    }

    @Override
    Tensor[] forward(Operators to, Qkv in) {
      Tensor[] all =
          to.call(
              "_scaled_dot_product_flash_attention",
              in.q(),
              in.k(),
              in.v(),
              0.0,
              in.causal(),
              false,
              null);
      return new Tensor[] {all[0], all[1]};
    }

    @Override
    Tensor[] backward(Operators to, Qkv in, Tensor[] out, Tensor dy) {
      Tensor none = new Tensor(); // lengths of unequal sequences, and dropout's random numbers
      return to.call(
          "_scaled_dot_product_flash_attention_backward",
          dy,
          in.q(),
          in.k(),
          in.v(),
          out[0],
          out[1],
          none,
          none,
          in.q().size(2),
          in.k().size(2),
          0.0,
          in.causal(),
          none,
          none,
          null);
    }
  },

  /** Memory-efficient attention (Rabe and Staats 2021; xFormers' kernels): F32 too, any width. */
  EFFICIENT {
    @Override
    boolean takes(Sizes sizes) {
      return sizes.dtype != DType.F64 && sizes.width % (16 / sizes.dtype.bytes()) == 0;
    }

    @Override
    Tensor[] forward(Operators to, Qkv in) {
      return to.call(
          "_scaled_dot_product_efficient_attention",
          in.q(),
          in.k(),
          in.v(),
          null,
          true,
          0.0,
          in.causal(),
          null);
    }

    @Override
    Tensor[] backward(Operators to, Qkv in, Tensor[] out, Tensor dy) {
      boolean[] wanted = {true, true, true, false}; // no bias, so no gradient of it
      return to.call(
          "_scaled_dot_product_efficient_attention_backward",
          dy,
          in.q(),
          in.k(),
          in.v(),
          new Tensor(),
          out[0],
          out[1],
          out[2],
          out[3],
          0.0,
          wanted,
          in.causal(),
          null);
    }
  },

  /** cuDNN's fused attention: 16 bits; widths beyond 128 on some GPUs only. */
  CUDNN {
    @Override
    boolean takes(Sizes sizes) {
      return sizes.suitTensorCores();
    }

    @Override
    Tensor[] forward(Operators to, Qkv in) {
      Tensor[] all =
          to.call(
              "_scaled_dot_product_cudnn_attention",
              in.q(),
              in.k(),
              in.v(),
              null,
              true,
              0.0,
              in.causal(),
              false,
              null);
      return new Tensor[] {all[0], all[1], all[6], all[7]};
    }

    @Override
    Tensor[] backward(Operators to, Qkv in, Tensor[] out, Tensor dy) {
      Tensor none = new Tensor(); // a bias, and lengths of unequal sequences
      return to.call(
          "_scaled_dot_product_cudnn_attention_backward",
          dy,
          in.q(),
          in.k(),
          in.v(),
          out[0],
          out[1],
          out[2],
          out[3],
          none,
          none,
          none,
          in.q().size(2),
          in.k().size(2),
          0.0,
          in.causal(),
          null);
    }
  },

  /**
   * Matrix products with the N×M matrix between them, of any type and width; it alone hides keys.
   */
  PLAIN {
    @Override
    boolean takes(Sizes sizes) {
      return !EFFICIENT.takes(sizes);
    }

    @Override
    Tensor[] forward(Operators to, Qkv in) {
      Tensor scores = in.q().matmul(in.k().transpose(2, 3)).mul_(scale(in.q()));
      if (in.causal()) {
        Tensor future = torch.ones_like(scores).triu(1).to(torch.ScalarType.Bool);
        scores.masked_fill_(future, new Scalar(Double.NEGATIVE_INFINITY));
      }
      if (in.hidden() != null) {
        scores.masked_fill_(in.hidden(), new Scalar(Double.NEGATIVE_INFINITY));
      }
      Tensor shares = scores.softmax(-1);
      return new Tensor[] {shares.matmul(in.v()), shares};
    }

    @Override
    Tensor[] backward(Operators to, Qkv in, Tensor[] out, Tensor dy) {
      Tensor shares = out[1];
      Tensor dShares = dy.matmul(in.v().transpose(2, 3));
      Tensor change =
          dShares.sub(dy.mul(out[0]).sum(new long[] {-1}, true, new ScalarTypeOptional()));
      Tensor dScores = change.mul_(shares).mul_(scale(in.q()));
      return new Tensor[] {
        dScores.matmul(in.k()),
        dScores.transpose(2, 3).matmul(in.q()),
        shares.transpose(2, 3).matmul(dy)
      };
    }

    private Scalar scale(Tensor q) {
      return new Scalar(1 / Math.sqrt((double) q.size(3)));
    }
  };

  /** Calls operators: {@code Boxed::call}. */
  @FunctionalInterface
  interface Operators {
    /** Calls {@code aten::name} with arguments in the order of its schema. */
    Tensor[] call(String name, @Nullable Object... arguments);
  }

  /**
   * What an attention is of.
   *
   * @param queries N
   * @param keys M
   * @param width d, of a head
   */
  record Sizes(
      DType dtype, long rows, long heads, long queries, long keys, long width, boolean causal) {
    /** What FlashAttention and cuDNN want; both differ about a causal mask that is not square. */
    boolean suitTensorCores() {
      return dtype.isHalf() && width % 8 == 0 && width <= 256 && (!causal || queries == keys);
    }
  }

  /** Whether it can compute that on CUDA, as far as that is known before it is tried. */
  abstract boolean takes(Sizes sizes);

  /** y, then what {@link #backward} wants kept. */
  abstract Tensor[] forward(Operators to, Qkv in);

  /**
   * dq, dk and dv, maybe more.
   *
   * @param out what {@link #forward} gave
   * @param dy the gradient of y, of its shape
   */
  abstract Tensor[] backward(Operators to, Qkv in, Tensor[] out, Tensor dy);
}
