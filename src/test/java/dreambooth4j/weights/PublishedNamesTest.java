package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.pipeline.StableDiffusion;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The published models' configurations, which are bundled, and the names of all their tensors. */
class PublishedNamesTest {
  /** Digests of lists that diffusers' own models and conversion scripts gave, one row a line. */
  @ParameterizedTest
  @CsvSource({
    "SD1, 1130, a59e6aa0d542fd8a4b512eb34ce0dcd256555f4da5fbabcd884fdee7e0eba5a6",
    "SD2, 1306, 10c6d90a52af23ef898ccce06c7c9bcd961606d43fc5808b6e7390d5fe1c9d7f",
    "SDXL, 2641, 310767917f55c45782d144633bbd3cd356f5137e55d67c1a2cb30ccde127251d"
  })
  void shouldBeThoseOfDiffusersAndOfTheOriginals(Family family, int count, String digest) {
    PublishedModel model = PublishedModel.of(family);
    List<String> rows = new ArrayList<>();
    try (Arena run = Arena.open("dry", OpBackend.dry(Device.CPU));
        StableDiffusion built = StableDiffusion.load(run, model)) {
      for (Group group : built.groups()) {
        Component component = group.component();
        OriginalPart part = family.part(component, model.config(component), "published");
        for (Parameter each : group.parameters().all()) {
          NameTable.Entry entry = Objects.requireNonNull(part.ofOurs(each.name()), each.name());
          rows.add(row(component, each, entry));
          assertThat(part.ofTheirs(entry.theirs())).contains(entry);
        }
      }
    }
    Collections.sort(rows);
    assertThat(rows).hasSize(count);
    assertThat(Sha256.of(String.join("\n", rows))).isEqualTo(digest);
  }

  private static String row(Component component, Parameter ours, NameTable.Entry entry) {
    String how =
        switch (entry.layout()) {
          case SAME -> "same";
          case POINTWISE -> entry.ours().endsWith("weight") ? "conv1x1" : "same";
          case FIRST_THIRD, SECOND_THIRD, LAST_THIRD -> "rows " + entry.layout().third();
          case TRANSPOSED -> "transposed";
        };
    List<Long> shape = Arrays.stream(ours.fileShape()).boxed().toList();
    String sizes =
        entry.layout().original(shape).stream()
            .map(String::valueOf)
            .collect(Collectors.joining("x"));
    return "%s %s %s %s %s"
        .formatted(
            component.folder(), ours.name(), entry.theirs(), how, sizes.replaceFirst("(x1)+$", ""));
  }
}
