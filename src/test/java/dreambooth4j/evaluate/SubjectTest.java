package dreambooth4j.evaluate;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.data.Concept;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the subject is called where a model is asked for it. */
class SubjectTest {
  @TempDir private Path folder;

  private String named(String template, String... captions) throws IOException {
    TinyRun run = new TinyRun(folder);
    if (!template.isEmpty()) {
      run.with("instance_prompt", template);
    }
    for (int i = 0; i < captions.length; i++) {
      Files.writeString(run.pictures().resolve("p" + i + ".txt"), captions[i]);
    }
    return Subject.of(Concept.scanAll(run.config()).get(0), List.of()).prompt();
  }

  @Test
  void shouldNameTheClassTooWhereMostCaptionsDo() throws IOException {
    assertThat(named("")).isEqualTo("sks, man");
    assertThat(named("", "sks, man, hat", "sks, man", "sks, hat", "man, sks, red", "man, beach"))
        .isEqualTo("sks, man");
    assertThat(named("", "sks", "sks, beach", "sks, hat", "sks, snow", "sks, man, red"))
        .isEqualTo("sks");
  }

  @Test
  void shouldWriteBothAsTheCaptionsDo() throws IOException {
    assertThat(
            named(
                "",
                "a photo of sks man on a beach",
                "sks man, smiling",
                "sks man, sitting, indoors",
                "a man called sks",
                "sks, man, hat"))
        .isEqualTo("sks man");
  }

  @Test
  void shouldKeepTheWordsOfTheInstancePrompt() throws IOException {
    assertThat(named("a painting of [filewords]")).isEqualTo("a painting of sks, man");
    assertThat(named("a photo of sks man, [filewords]")).isEqualTo("a photo of sks man");
    assertThat(named("a photo of sks")).isEqualTo("a photo of sks");
  }
}
