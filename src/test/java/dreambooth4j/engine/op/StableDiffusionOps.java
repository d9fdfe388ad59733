package dreambooth4j.engine.op;

import java.util.ArrayList;
import java.util.List;

/**
 * Op cases of the sizes that Stable Diffusion 1.5's UNet has for pictures of {@code side} pixels:
 * for benches, the same ops that the parity test checks on small ones.
 */
public final class StableDiffusionOps {
  private static final int GROUPS = 32;
  private static final int HEADS = 8;
  private static final int TOKENS = 77;
  private static final int PROMPT_WIDTH = 768;

  private StableDiffusionOps() {}

  static List<OpCase> of(int batch, int side) {
    int latent = side / 8;
    List<OpCase> cases = new ArrayList<>();
    cases.add(OpCases.conv(batch, latent, latent, 4, 320, 3, 1, 1));
    level(cases, batch, latent, 320);
    level(cases, batch, latent / 2, 640);
    level(cases, batch, latent / 4, 1280);
    cases.add(OpCases.conv(batch, latent / 8, latent / 8, 1280, 1280, 3, 1, 1));
    cases.add(OpCases.conv(batch, latent, latent, 960, 320, 3, 1, 1));
    cases.add(OpCases.conv(batch, latent, latent, 320, 320, 3, 2, 1));
    cases.add(OpCases.conv(batch, latent, latent, 960, 320, 1, 1, 0));
    cases.add(OpCases.groupNorm(batch, latent, latent, 960, GROUPS, true));
    cases.add(OpCases.addPerSample(batch, latent, latent, 320));
    cases.add(OpCases.add(batch * latent * latent, 320));
    cases.add(OpCases.concat(batch, (long) latent * latent, 640, 320));
    cases.add(OpCases.upsample(batch, latent / 2, latent / 2, latent, latent, 640));
    return cases;
  }

  /** What a residual block and a transformer block of one level compute. */
  private static void level(List<OpCase> cases, int batch, int side, int channels) {
    int tokens = side * side;
    cases.add(OpCases.conv(batch, side, side, channels, channels, 3, 1, 1));
    cases.add(OpCases.groupNorm(batch, side, side, channels, GROUPS, true));
    cases.add(linear(batch, tokens, channels, channels));
    cases.add(linear(batch, tokens, channels, 8 * channels));
    cases.add(linear(batch, tokens, 4 * channels, channels));
    cases.add(linear(batch, TOKENS, PROMPT_WIDTH, channels));
    cases.add(OpCases.layerNorm(batch, tokens, channels));
    cases.add(OpCases.geglu(batch, tokens, 4 * channels));
    cases.add(OpCases.attention(batch, tokens, tokens, HEADS, channels / HEADS, false));
    cases.add(OpCases.attention(batch, tokens, TOKENS, HEADS, channels / HEADS, false));
  }

  private static OpCase linear(int batch, int tokens, int in, int out) {
    return OpCases.linear(
        "x [%d,%d,%d] w [%d,%d]".formatted(batch, tokens, in, out, in),
        new long[] {batch, tokens, in},
        new long[] {out, in});
  }
}
