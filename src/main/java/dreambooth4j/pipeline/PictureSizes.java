package dreambooth4j.pipeline;

import dreambooth4j.data.Bucket;
import dreambooth4j.data.CropBox;
import dreambooth4j.data.ImageSize;
import dreambooth4j.data.View;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.UNetConfig;
import java.util.List;

/**
 * What SDXL is told of what was done to a picture, in pixels: so that it learns neither the blur of
 * small pictures nor the cuts of cropped ones.
 *
 * @param height of the file's picture, standing upright; width likewise
 * @param top where the crop begins, in the picture once it was scaled; left likewise, in a mirrored
 *     picture as it is mirrored
 * @param targetHeight of what is trained or drawn; width likewise
 */
public record PictureSizes(
    int height, int width, int top, int left, int targetHeight, int targetWidth) {
  /** Of a picture that is as large as it is drawn. */
  public static PictureSizes whole(int width, int height) {
    return new PictureSizes(height, width, 0, 0, height, width);
  }

  /** Of a picture of this size in a file, as it is seen. */
  public static PictureSizes of(View view, ImageSize file) {
    Bucket bucket = view.bucket();
    CropBox box = CropBox.of(file, bucket, view.crop());
    int left = view.mirrored() ? box.width() - bucket.width() - box.left() : box.left();
    return new PictureSizes(
        file.height(), file.width(), box.top(), left, bucket.height(), bucket.width());
  }

  /** A row each: F32 [n, 6] in {@code arena}, held by the caller. */
  public static Tensor tensor(Arena arena, List<PictureSizes> rows) {
    int each = UNetConfig.Added.SIZES;
    float[] values = new float[rows.size() * each];
    int i = 0;
    for (PictureSizes row : rows) {
      values[i++] = row.height;
      values[i++] = row.width;
      values[i++] = row.top;
      values[i++] = row.left;
      values[i++] = row.targetHeight;
      values[i++] = row.targetWidth;
    }
    return arena.floats("picture sizes", values, rows.size(), each);
  }
}
