package dreambooth4j.model;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Printable;
import java.util.ArrayList;
import java.util.List;

/**
 * What pictures are made into for a model that reads them, from its preprocessor_config.json:
 * scaled bicubically, cropped in the middle, and normalised.
 *
 * @param shortest pixels of the shorter side when scaled
 * @param mean what is taken away of red, green and blue, from 0 to 1
 * @param deviation what they are divided by then
 */
public record VisionInput(
    int shortest, int cropHeight, int cropWidth, List<Double> mean, List<Double> deviation) {
  private static final int MOST_SIDE = 1 << 12;

  /** DINOv2 of pictures of 1,022 pixels has 5,329. */
  private static final int MOST_PATCHES = 1 << 14;

  /** In JSON, a seventeenth digit may differ. */
  private static final double CLOSE = 1e-9;

  /**
   * Reads it. An unsupported value is refused by name.
   *
   * @param where names the file in errors
   * @param model whom it is for
   */
  public static VisionInput of(JsonNode json, String where, VisionConfig model) {
    ComponentConfig c = new ComponentConfig(json, where);
    for (String each : List.of("do_resize", "do_center_crop", "do_rescale", "do_normalize")) {
      c.only(each, "true");
    }
    c.only("do_pad", "false", "null");
    c.only("resample", "3"); // bicubic
    if (Math.abs(c.number("rescale_factor", 1 / 255.0, 0, 1) - 1 / 255.0) > CLOSE) {
      throw c.unsupported("rescale_factor", json.path("rescale_factor"), "1/255");
    }
    JsonNode size = json.path("size");
    JsonNode crop = json.path("crop_size");
    VisionInput input =
        new VisionInput(
            side(size, size.path("shortest_edge"), "size", c),
            side(crop, crop.path("height"), "crop_size", c),
            side(crop, crop.path("width"), "crop_size", c),
            three(json, "image_mean", c),
            three(json, "image_std", c));
    if (input.deviation.stream().anyMatch(each -> each <= 0)) {
      throw c.wrong("image_std must be positive");
    }
    input.requireFit(model, c);
    return input;
  }

  private void requireFit(VisionConfig model, ComponentConfig c) {
    String crop = "crop_size is %d×%d".formatted(cropWidth, cropHeight);
    if (Math.max(cropHeight, cropWidth) > shortest) {
      throw c.wrong("%s, larger than size, %d".formatted(crop, shortest));
    }
    if (Math.min(cropHeight, cropWidth) < model.patch()) {
      throw c.wrong(
          "%s, smaller than a patch (patch_size %d in config.json)".formatted(crop, model.patch()));
    }
    boolean fixed = model.kind() == VisionConfig.Kind.CLIP;
    if (fixed && (cropHeight != model.size() || cropWidth != model.size())) {
      throw c.wrong(
          "%s, but CLIP reads pictures of its image_size alone (%d in config.json): set crop_size to that"
              .formatted(crop, model.size()));
    }
    if ((long) (cropHeight / model.patch()) * (cropWidth / model.patch()) > MOST_PATCHES) {
      throw c.wrong(
          "%s, which are more than %d patches (patch_size %d in config.json)"
              .formatted(crop, MOST_PATCHES, model.patch()));
    }
  }

  /** A number of pixels, alone as older versions wrote it or within an object. */
  private static int side(JsonNode whole, JsonNode within, String key, ComponentConfig c) {
    JsonNode value = whole.isInt() ? whole : within;
    if (!value.isInt() || value.intValue() < 1 || value.intValue() > MOST_SIDE) {
      throw c.unsupported(
          key,
          whole,
          (key.equals("size") ? "{\"shortest_edge\": N}" : "{\"height\": N, \"width\": N}")
              + " with N from 1 to "
              + MOST_SIDE);
    }
    return value.intValue();
  }

  private static List<Double> three(JsonNode json, String key, ComponentConfig c) {
    JsonNode list = json.path(key);
    List<Double> values = new ArrayList<>();
    list.forEach(each -> values.add(each.isNumber() ? each.doubleValue() : Double.NaN));
    if (values.size() != 3 || !values.stream().allMatch(each -> Math.abs(each) <= 1e6)) {
      throw c.wrong("%s must be three numbers, found %s".formatted(key, Printable.shortened(list)));
    }
    return List.copyOf(values);
  }
}
