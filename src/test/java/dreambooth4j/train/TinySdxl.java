package dreambooth4j.train;

import java.io.IOException;
import java.nio.file.Path;

/** SDXL in the widths of {@link TinyRun#MODEL}, trained on the same pictures. */
public final class TinySdxl {
  /** The goldens' model of random weights. */
  public static final Path MODEL = Path.of("src/test/resources/goldens/sdxl/model");

  private TinySdxl() {}

  /** A run of it, as {@link TinyRun#TinyRun}. */
  public static TinyRun run(Path folder) throws IOException {
    return new TinyRun(folder).with("pretrained_model_name_or_path", MODEL);
  }
}
