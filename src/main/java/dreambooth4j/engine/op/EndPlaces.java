package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;

/**
 * Where prompts end, as transformers' CLIP finds it. ids I64 [B, N]; places I64 [B], among the B·N
 * tokens in line. Computed on the device.
 */
public final class EndPlaces {
  /**
   * Stands for the largest token of each row: an old default that transformers wrote into the
   * configurations of models whose end token is another, the largest, and reads so.
   */
  public static final int LARGEST = 2;

  private EndPlaces() {}

  /**
   * The first place of {@code token} in each row, or its first place if it is not in it.
   *
   * @param vocabulary tokens from here on were added later: none of them is the largest
   */
  public static Tensor of(Arena arena, Tensor ids, int token, int vocabulary) {
    long rows = ids.size(0);
    long length = ids.size(1);
    return arena.compute(
        "end_places",
        () -> {
          org.bytedeco.pytorch.Tensor starts =
              torch.arange(new Scalar(rows), ids.handle().options()).mul_(new Scalar(length));
          return places(ids, token, vocabulary).add_(starts);
        });
  }

  /** What lies behind the end of each prompt, which is padding: BOOL [B, 1, 1, N]; as the other. */
  public static Tensor behind(Arena arena, Tensor ids, int token, int vocabulary) {
    return arena.compute(
        "padding",
        () ->
            torch
                .arange(new Scalar(ids.size(1)), ids.handle().options())
                .gt(places(ids, token, vocabulary).unsqueeze(-1))
                .unsqueeze(1)
                .unsqueeze(1));
  }

  private static org.bytedeco.pytorch.Tensor places(Tensor ids, int token, int vocabulary) {
    org.bytedeco.pytorch.Tensor wanted =
        token == LARGEST
            ? ids.handle().masked_fill(ids.handle().ge(new Scalar(vocabulary)), new Scalar(0))
            : ids.handle().eq(new Scalar(token)).to(torch.ScalarType.Int);
    return wanted.argmax(new LongOptional(1), false);
  }
}
