package dreambooth4j.model;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.Geglu;
import dreambooth4j.engine.op.LayerNorm.Normed;
import dreambooth4j.engine.op.Reshape;
import java.util.ArrayList;
import java.util.List;

/**
 * diffusers' {@code Transformer2DModel}: pixels as tokens through blocks of self-attention,
 * cross-attention to the prompt and a gated feed-forward, with a shortcut around all. [B, H, W, C]
 * to the same.
 */
final class SpatialTransformer {
  private static final double NORM_EPSILON = 1e-6;
  private static final double TOKEN_EPSILON = 1e-5;

  private final ChannelNorm norm;
  private final Dense projectIn;
  private final List<Block> blocks = new ArrayList<>();
  private final Dense projectOut;

  SpatialTransformer(Scope scope, int width, UNetConfig config, int heads, int layers) {
    norm = scope.channelNorm("norm", width, config.normGroups(), NORM_EPSILON);
    projectIn = projection(scope, "proj_in", width, config);
    for (int i = 0; i < layers; i++) {
      blocks.add(
          new Block(scope.in("transformer_blocks", i), width, config.crossAttentionDim(), heads));
    }
    projectOut = projection(scope, "proj_out", width, config);
  }

  private static Dense projection(Scope scope, String name, int width, UNetConfig config) {
    return config.linearProjection()
        ? scope.dense(name, width, width, true)
        : scope.pointwise(name, width, width);
  }

  Var forward(Tape tape, Var x, Var prompt) {
    return tape.block(
        () -> {
          long[] image = x.value().shape();
          long[] sequence = {image[0], image[1] * image[2], image[3]};
          Var tokens =
              Reshape.apply(tape, projectIn.forward(tape, norm.forward(tape, x)), sequence);
          for (Block each : blocks) {
            tokens = each.forward(tape, tokens, prompt);
          }
          return Add.apply(tape, x, Reshape.apply(tape, projectOut.forward(tape, tokens), image));
        });
  }

  /** diffusers' {@code BasicTransformerBlock}. */
  private static final class Block {
    private final TokenNorm norm1;
    private final AttentionLayer self;
    private final TokenNorm norm2;
    private final AttentionLayer cross;
    private final TokenNorm norm3;
    private final Dense feedIn;
    private final Dense feedOut;

    Block(Scope scope, int width, int promptWidth, int heads) {
      norm1 = scope.tokenNorm("norm1", width, TOKEN_EPSILON);
      self = AttentionLayer.of(scope.in("attn1"), AttentionLayer.Names.UNET, width, width, heads);
      norm2 = scope.tokenNorm("norm2", width, TOKEN_EPSILON);
      cross =
          AttentionLayer.of(
              scope.in("attn2"), AttentionLayer.Names.UNET, width, promptWidth, heads);
      norm3 = scope.tokenNorm("norm3", width, TOKEN_EPSILON);
      feedIn = scope.dense("ff.net.0.proj", width, 8 * width, true);
      feedOut = scope.dense("ff.net.2", 4 * width, width, true);
    }

    Var forward(Tape tape, Var tokens, Var prompt) {
      return tape.block(
          () -> {
            Var normed = norm1.forward(tape, tokens);
            Normed x = norm2.ofSum(tape, tokens, self.forward(tape, normed, normed, false));
            x = norm3.ofSum(tape, x.sum(), cross.forward(tape, x.y(), prompt, false));
            Var fed = feedOut.forward(tape, Geglu.apply(tape, feedIn.forward(tape, x.y())));
            return Add.apply(tape, x.sum(), fed);
          });
    }
  }
}
