package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.diffusion.SamplerKind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** docs/configuration.md lists the keys that the code knows, as the code describes them. */
class ConfigurationPageTest {
  private static final Path PAGE = Path.of("docs/configuration.md");
  private static final String BEGIN = "<!-- keys: written by ConfigurationPageTest -->\n";
  private static final String END = "<!-- end of keys -->\n";

  @Test
  void shouldListEveryKey() throws IOException {
    String page = Files.readString(PAGE);
    int from = page.indexOf(BEGIN) + BEGIN.length();
    int to = page.indexOf(END);
    if (System.getenv("DOCS_WRITE") != null) {
      Files.writeString(PAGE, page.substring(0, from) + keys() + page.substring(to));
      return;
    }
    assertThat(page.substring(from, to))
        .as("run: DOCS_WRITE=1 ./mvnw test -Dtest=ConfigurationPageTest")
        .isEqualTo(keys());
  }

  private static String keys() {
    StringBuilder text = new StringBuilder();
    for (Key.Group group : Key.Group.values()) {
      text.append("\n## ").append(group.heading()).append("\n| key | default | |\n|---|---|---|\n");
      for (Key<?, ?> key : Keys.all()) {
        if (key.group() == group) {
          text.append("| `").append(key.name()).append('`');
          key.aliases().forEach(alias -> text.append(" (`").append(alias).append("`)"));
          text.append(" | ").append(html(key.defaultInWords())).append(" | ");
          text.append(html(key.help())).append(" |\n");
        }
      }
    }
    text.append("\n## Defaults that differ\n")
        .append(
            "`defaults` says whose are taken; those of the extension are a db_config.json's.\n\n")
        .append("| key | dreambooth4j | diffusers | extension |\n|---|---|---|---|\n");
    for (Key<?, ?> key : Keys.all()) {
      List<String> defaults =
          Stream.of(Defaults.values()).map(key::defaultInWords).map(each -> html(each)).toList();
      if (defaults.stream().distinct().count() > 1) {
        text.append("| `%s` | %s |\n".formatted(key.name(), String.join(" | ", defaults)));
      }
    }
    text.append(
        "\n## Samplers\n`scheduler`, `class_scheduler` and `generate --sampler` take any of these"
            + " names. Each is held against diffusers' class, to 1e-5. Over Karras's noise levels"
            + " few steps look better. Heun and DPM2 ask the network twice a step and take twice"
            + " as long; LCM needs a model or a LoRA that was distilled to it.\n\n"
            + "| name | in A1111 | in diffusers |\n|---|---|---|\n");
    for (SamplerKind kind : SamplerKind.values()) {
      text.append(
          "| `%s` | %s | %s%s |\n"
              .formatted(
                  kind.label(),
                  kind.webName(),
                  kind.className(),
                  kind.label().endsWith("_karras") ? ", use_karras_sigmas" : ""));
    }
    text.append(
            "\n## Keys without effect\nKeys of sd_dreambooth_extension and of diffusers that change"
                + " nothing here, by what becomes of them. kohya's and OneTrainer's are in"
                + " [From other trainers](import.md).\n\n")
        .append("| keys | | why, and what to do instead |\n|---|---|---|\n");
    foreign()
        .forEach(
            (fate, names) ->
                text.append(
                    "| `%s` | %s |\n"
                        .formatted(String.join("` `", names), html(fate).replace("\t", " | "))));
    return text.append("\n").toString();
  }

  /** What becomes of keys, in both columns, and the keys. */
  private static Map<String, Set<String>> foreign() {
    Map<String, Set<String>> groups = new LinkedHashMap<>();
    for (ForeignKey.Kind kind : ForeignKey.Kind.values()) {
      for (String name : new TreeSet<>(ForeignKeys.names())) {
        ForeignKey key = ForeignKeys.get(name, false);
        String word =
            switch (key.kind()) {
              case IGNORED -> "read, no effect";
              case NOTED -> "read, and said what is done instead";
              case REFUSED -> "refused where it asks for something";
            };
        if (key.kind() == kind) {
          groups.computeIfAbsent(word + "\t" + key.reason(), any -> new TreeSet<>()).add(name);
        }
      }
    }
    return groups;
  }

  private static String html(String text) {
    return text.replace("|", "\\|").replace("<", "&lt;");
  }
}
