package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The caches as a user sees them. */
@Timeout(180)
class SharedCacheTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir Path folder;

  private TinyRun run() throws IOException {
    return new TinyRun(folder)
        .withPaintedClassImages()
        .with("n_save_sample", 0)
        .with("num_train_epochs", 1)
        .with("cache_dir", folder.resolve("shared"));
  }

  @Test
  void shouldBeSharedByTwoProcessesAtOnceAndByALaterRun() throws Exception {
    TinyRun run = run();
    List<Path> outputs = List.of(folder.resolve("a"), folder.resolve("b"));
    try (Child a = Child.of(run.with("output_dir", outputs.get(0)).arguments("train"));
        Child b = Child.of(run.with("output_dir", outputs.get(1)).arguments("train"))) {
      for (Child each : List.of(a, b)) {
        assertThat(each.exitCode()).as(each.said()).isZero();
        assertThat(each.said())
            .contains("of 10 from the cache in " + folder.resolve("shared"))
            .doesNotContain("warning");
      }
    }
    assertThat(outputs.get(0).resolve(UNET)).hasSameBinaryContentAs(outputs.get(1).resolve(UNET));
    try (Stream<Path> all = Files.walk(folder.resolve("shared"))) {
      assertThat(all.filter(Files::isRegularFile))
          .hasSize(18)
          .allMatch(f -> f.toString().endsWith(".safetensors"));
    }
    Ran later = Ran.of(run.with("output_dir", folder.resolve("c")).arguments("train"));
    assertThat(later.exitCode()).as(later.err()).isZero();
    assertThat(later.err())
        .contains("Latents: 10 of 10 from the cache in " + folder.resolve("shared"))
        .contains("Prompts: 8 of 8 from the cache", ", 0 to encode");
    assertThat(folder.resolve("c/" + UNET)).hasSameBinaryContentAs(outputs.get(0).resolve(UNET));
    assertThat(folder.resolve("c/cache")).doesNotExist();
  }

  @Test
  void shouldKeepNothingOnDiskIfToldSo() throws IOException {
    Path output = folder.resolve("out");
    Ran ran = Ran.of(run().with("cache_latents", false).arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err()).doesNotContain("from the cache");
    assertThat(folder.resolve("shared")).doesNotExist();
    assertThat(output.resolve("config.yaml")).content().contains("cache_latents: false");
  }

  @Test
  void shouldSayOnceThatItCannotWriteAndTrainOn() throws IOException {
    Path inTheWay = Files.writeString(folder.resolve("file"), "");
    Ran ran = Ran.of(run().with("cache_dir", inTheWay).arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .containsOnlyOnce("warning: the cache in " + inTheWay + " cannot be written:");
  }
}
