package dreambooth4j.pipeline;

import dreambooth4j.data.Pixels;
import dreambooth4j.data.Resample;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.model.VisionEncoder;
import dreambooth4j.model.VisionInput;

/** A CLIP or DINOv2 model in memory, which says what pictures show. */
public final class PictureFeatures {
  private final Arena arena;
  private final VisionEncoder encoder;
  private final VisionInput form;

  /**
   * Of a model.
   *
   * @param arena which its weights are in
   */
  PictureFeatures(Arena arena, VisionEncoder encoder, VisionInput form) {
    this.arena = arena;
    this.encoder = encoder;
    this.form = form;
  }

  /** What a picture shows: one vector. */
  public float[] of(Pixels picture) {
    try (Arena own = arena.child("features");
        Tape tape = Tape.inference(own)) {
      return forward(tape, input(picture)).value().toFloats();
    }
  }

  /** As {@link #of}, in a dry arena. */
  void look() {
    try (Arena own = arena.child("features");
        Tape tape = Tape.inference(own)) {
      forward(tape, new float[form.cropHeight() * form.cropWidth() * Pixels.CHANNELS]);
    }
  }

  private Var forward(Tape tape, float[] values) {
    Tensor picture =
        tape.arena()
            .floats("picture", values, 1, form.cropHeight(), form.cropWidth(), Pixels.CHANNELS);
    return encoder.forward(tape, tape.constant(picture));
  }

  /** A picture as the model wants it: [height, width, 3], of the size that it is cropped to. */
  float[] input(Pixels picture) {
    int least = Math.min(picture.width(), picture.height());
    int width = (int) ((long) form.shortest() * picture.width() / least);
    int height = (int) ((long) form.shortest() * picture.height() / least);
    byte[] bytes =
        Resample.BICUBIC
            .scale(picture, width, height)
            .crop(
                (width - form.cropWidth()) / 2,
                (height - form.cropHeight()) / 2,
                form.cropWidth(),
                form.cropHeight())
            .rgb();
    float[] values = new float[bytes.length];
    for (int i = 0; i < values.length; i++) {
      int c = i % Pixels.CHANNELS;
      float mean = form.mean().get(c).floatValue();
      values[i] = ((bytes[i] & 0xFF) / 255f - mean) / form.deviation().get(c).floatValue();
    }
    return values;
  }
}
