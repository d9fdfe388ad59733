package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import dreambooth4j.config.CaptionConfig;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Caption files of any content, and tokens taken from them. */
@Timeout(60)
class CaptionFuzzTest {
  static Stream<byte[]> captions() {
    return Stream.of(
            "a photo of sks man, red hat, \\(smiling\\)",
            "\uFEFFthe man, MAN, a  man,, sks\r\nof e\u0301le\u0301phant, \u72ac",
            "s.k, s.k man",
            "")
        .map(text -> text.getBytes(StandardCharsets.UTF_8));
  }

  @MethodSource("captions")
  @FuzzTest
  void shouldReadOrRefuse(byte[] content) {
    for (CaptionConfig.Lines lines : CaptionConfig.Lines.values()) {
      CaptionConfig how = new CaptionConfig(List.of(".txt"), lines, true, 1, 0, 0, false);
      Untrusted.read(
          "caption.txt",
          content,
          file -> {
            Caption caption =
                Caption.of(file.resolveSibling(""), file.resolveSibling("caption.png"), how);
            assertThat(caption.texts()).isNotEmpty();
            caption.texts().forEach(text -> checkPrompts(text, "sks", "man"));
            checkPrompts(caption.text(), word(caption.text(), 0), word(caption.text(), 1));
          });
    }
  }

  private static String word(String text, int index) {
    String[] words = text.replaceAll("[,\\\\]", " ").strip().split("\\s+", 3);
    return index < words.length ? words[index] : "";
  }

  private static void checkPrompts(String caption, String instance, String type) {
    Prompts prompts = new Prompts(instance, type, "[filewords]", "[filewords]");
    assertThat(prompts.instancePrompt(caption)).isNotNull();
    String classCaption = prompts.classCaption(caption);
    assertThat(classCaption.split(",")).noneMatch(tag -> tag.isBlank() && !classCaption.isEmpty());
    if (!Prompts.mentions(type, instance)) {
      assertThat(Prompts.mentions(classCaption, type)).isEqualTo(Prompts.mentions(type, type));
    }
  }
}
