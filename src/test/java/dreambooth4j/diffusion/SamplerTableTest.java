package dreambooth4j.diffusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * The edges of the samplers, against what diffusers does there: few and many steps, every spacing,
 * the rarer settings. {@code src/test/python/make_samplers.py} recorded it.
 */
class SamplerTableTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TestFactory
  Stream<DynamicTest> shouldTakeTheStepsOfDiffusers() throws Exception {
    return Stream.of("samplers.jsonl", "more_samplers.jsonl")
        .flatMap(SamplerTableTest::lines)
        .map(SamplerTableTest::parsed)
        .map(
            row ->
                DynamicTest.dynamicTest(
                    row.path("sampler").textValue() + row.path("steps") + row.path("config"),
                    () -> check(row)));
  }

  private static Stream<String> lines(String name) {
    try {
      return Files.readAllLines(Path.of("src/test/resources/samplers", name)).stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static JsonNode parsed(String line) {
    try {
      return JSON.readTree(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void check(JsonNode row) {
    try (Arena arena = Arena.open("test")) {
      Tensor noise = sample(arena, row.path("noise"));
      SamplerKind kind = SamplerKind.named(row.path("sampler").textValue());
      try (Sampler sampler = kind.create(SchedulerConfig.of(row.path("config")))) {
        List<float[]> path =
            MadeUpModel.path(
                arena,
                sampler,
                row.path("steps").intValue(),
                noise,
                i -> sample(arena, row.path("fresh").get(i)));
        // Karras's levels give timesteps that diffusers interpolates in float32.
        assertThat(sampler.timesteps())
            .containsExactly(doubles(row.path("timesteps")), within(1e-3));
        List<float[]> last = path.subList(Math.max(0, path.size() - 2), path.size());
        for (int i = 0; i < last.size(); i++) {
          float[] theirs = floats(row.path("last").get(i));
          assertThat(MadeUpModel.relativeError(last.get(i), theirs, 0)).isLessThan(1e-5);
        }
      }
      noise.release();
      assertThat(arena.meter().liveCount()).isZero();
    }
  }

  private static Tensor sample(Arena arena, JsonNode values) {
    return arena.floats("sample", floats(values), 1, 1, 2, 2);
  }

  private static double[] doubles(JsonNode values) {
    double[] doubles = new double[values.size()];
    for (int i = 0; i < doubles.length; i++) {
      doubles[i] = values.get(i).doubleValue();
    }
    return doubles;
  }

  private static float[] floats(JsonNode values) {
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values.get(i).doubleValue();
    }
    return floats;
  }
}
