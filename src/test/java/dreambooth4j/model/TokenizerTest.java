package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.weights.ComponentFiles;
import dreambooth4j.weights.JsonFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final Path BUNDLED = Path.of("weights/sprites64/tokenizer");

  @TempDir Path folder;

  private static void reproduces(Tokenizer tokenizer, Path golden) throws IOException {
    JsonNode rows = new ObjectMapper().readTree(golden.toFile());
    assertThat(rows.size()).isGreaterThan(10);
    for (JsonNode row : rows) {
      List<Long> expected = new ArrayList<>();
      row.path("input_ids").forEach(id -> expected.add(id.asLong()));
      String text = row.path("text").asText();
      assertThat(tokenizer.encode(text)).as(text).containsExactly(expected.toArray(Long[]::new));
    }
  }

  /** The folder's tokenizer as transformers 4 would have saved it. */
  private void split(Path tokenizer) throws IOException {
    ObjectNode root = JsonFile.read(tokenizer.resolve("tokenizer.json"));
    Files.writeString(folder.resolve("vocab.json"), root.path("model").path("vocab").toString());
    StringBuilder merges = new StringBuilder("#version: 0.2\n");
    for (JsonNode merge : root.path("model").path("merges")) {
      merges.append(merge.get(0).asText()).append(' ').append(merge.get(1).asText()).append('\n');
    }
    Files.writeString(folder.resolve("merges.txt"), merges);
    Files.copy(tokenizer.resolve("tokenizer_config.json"), folder.resolve("tokenizer_config.json"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2"})
  void shouldReproduceTransformers(String family) throws IOException {
    Path golden = GOLDENS.resolve(family);
    try (Tokenizer tokenizer =
        Tokenizer.open(ComponentFiles.in(golden.resolve("model/tokenizer")))) {
      reproduces(tokenizer, golden.resolve("tokenizer.json"));
    }
  }

  @Test
  void shouldReadVocabularyAndMergesAlike() throws IOException {
    split(GOLDENS.resolve("sd1/model/tokenizer"));
    try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(folder))) {
      reproduces(tokenizer, GOLDENS.resolve("sd1/tokenizer.json"));
    }
  }

  @Test
  void shouldPadAsTheTokenizerItselfSays() throws IOException {
    split(BUNDLED);
    Files.writeString(
        folder.resolve("special_tokens_map.json"),
        "{\"bos_token\":{\"content\":\"<|startoftext|>\",\"normalized\":true},\"pad_token\":\"!\"}");
    // What transformers 5.23 gives for this folder: "!" is special wherever it stands.
    try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(folder))) {
      assertThat(tokenizer.padToken()).isZero();
      assertThat(tokenizer.encode("hello !!! wow!"))
          .startsWith(8190, 3306, 0, 0, 0, 2781, 0, 8191, 0)
          .endsWith(0, 0)
          .hasSize(77);
    }
    try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(BUNDLED))) {
      assertThat(tokenizer.encode("hello !!! wow!"))
          .startsWith(8190, 3306, 995, 2781, 256, 8191, 8191)
          .endsWith(8191);
    }
  }

  @Test
  void shouldCutWhatIsTooLongAndCountItWhole() {
    try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(BUNDLED))) {
      String text = "man ".repeat(100);
      assertThat(tokenizer.count(text, 1))
          .isEqualTo(new TokenCount(100, 75, "man ".repeat(25).strip()));
      assertThat(tokenizer.count(text, 2)).isEqualTo(new TokenCount(100, 150, ""));
      assertThat(tokenizer.encode(text)).hasSize(77).endsWith(tokenizer.endToken());
      assertThat(tokenizer.count("", 1)).isEqualTo(new TokenCount(0, 75, ""));
      assertThat(tokenizer.length()).isEqualTo(77);
    }
  }

  /** What is read is counted in tokens, what is not is shown in the letters of the caption. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          plain          | red hat, blue sky          | red hat, blue sky
          white space    | red\that                  | red\that
          letters change | ÉLAN, Straße               | ÉLAN, Straße
          parts join     | e\u0301lan                | e\u0301lan
          beyond 16 bits | 🎅🏽 👨‍👩‍👧 hat           | 🎅🏽 👨‍👩‍👧 hat
          other scripts  | 小明在雪地里               | 小明在雪地里
          the pad token  | ! hat                      | ! hat
          """)
  void shouldShowWhatIsCutOffAsItWasWritten(String what, String end, String expected)
      throws IOException {
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"pad_token\":\"!\"}");
    Files.copy(BUNDLED.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    String before = "🎅 " + "e\u0301! ".repeat(3);
    for (Path each : List.of(BUNDLED, folder)) {
      try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(each))) {
        int room = 75 - tokenizer.count(before, 1).tokens();
        String text = before + "man ".repeat(room) + end;
        TokenCount count = tokenizer.count(text, 1);
        assertThat(count.cutOff()).isEqualTo(expected);
        assertThat(count.isCut()).isTrue();
        assertThat(count.tokens()).isEqualTo(75 + tokenizer.count(end, 1).tokens());
      }
    }
  }

  /** Runs of token numbers as kohya-ss/sd-scripts gives them; 786 is "man", 2046 and 2047 frame. */
  @ParameterizedTest(name = "{0} times \"{1}\", {2} pads")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          3   | man     | 2047 | 2046x1 786x3 2047x73                        / 2046x1 2047x76
          75  | man     | 2047 | 2046x1 786x75 2047x1                        / 2046x1 2047x76
          76  | man     | 2047 | 2046x1 786x75 2047x1                        / 2046x1 786x1 2047x75
          200 | man     | 2047 | 2046x1 786x75 2047x1                        / 2046x1 786x75 2047x1
          3   | man     | 0    | 2046x1 786x3 2047x1 0x72                    / 2046x1 2047x1 0x75
          75  | man     | 0    | 2046x1 786x75 2047x1                        / 2046x1 2047x1 0x75
          76  | man     | 0    | 2046x1 786x75 2047x1                        / 2046x1 786x1 2047x1 0x74
          149 | man     | 0    | 2046x1 786x75 2047x1                        / 2046x1 786x74 2047x1 0x1
          200 | man     | 0    | 2046x1 786x75 2047x1                        / 2046x1 786x75 2047x1
          0   | man     | 0    | 2046x1 2047x1 0x75                          / 2046x1 2047x1 0x75
          2   | man ! ! man | 0 | 2046x1 786x1 0x2 786x2 0x2 786x1 2047x1 0x67 / 2046x1 2047x1 0x75
          """)
  void shouldCutATextIntoWindowsAsKohyaDoes(int times, String text, long pad, String expected)
      throws IOException {
    Path tokenizer = GOLDENS.resolve("sd1/model/tokenizer");
    Files.copy(tokenizer.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    String padding = pad == 0 ? "!" : "<|endoftext|>";
    Files.writeString(
        folder.resolve("tokenizer_config.json"), "{\"pad_token\":\"" + padding + "\"}");
    try (Tokenizer opened = Tokenizer.open(ComponentFiles.in(folder))) {
      assertThat(opened.padToken()).isEqualTo(pad);
      long[] ids = opened.encode((text + " ").repeat(times), 2);
      assertThat(runs(ids, 0) + " / " + runs(ids, 77)).isEqualTo(expected.replaceAll(" +", " "));
      assertThat(opened.encode((text + " ").repeat(times), 3)).hasSize(231);
    }
  }

  /** The numbers of one window, each with how often it stands in a row. */
  private static String runs(long[] ids, int from) {
    StringBuilder runs = new StringBuilder();
    for (int i = from, next; i < from + 77; i = next) {
      next = i;
      while (next < from + 77 && ids[next] == ids[i]) {
        next++;
      }
      runs.append(i > from ? " " : "").append(ids[i]).append('x').append(next - i);
    }
    return runs.toString();
  }

  @Test
  void shouldCutAndPadWhateverItsFileSaysOfThat() throws IOException {
    ObjectNode root = JsonFile.read(BUNDLED.resolve("tokenizer.json"));
    ObjectNode truncation = root.putObject("truncation").put("max_length", 5).put("stride", 0);
    truncation.put("strategy", "LongestFirst").put("direction", "Right");
    ObjectNode padding = root.putObject("padding").put("pad_id", 1).put("pad_type_id", 0);
    padding.put("direction", "Right").put("pad_token", "x").putNull("pad_to_multiple_of");
    padding.putObject("strategy").put("Fixed", 20);
    Files.writeString(folder.resolve("tokenizer.json"), root.toString());
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"model_max_length\": 12}");
    try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(folder))) {
      assertThat(tokenizer.count("man ".repeat(8), 1).tokens()).isEqualTo(8);
      assertThat(tokenizer.encode("man ".repeat(8))).hasSize(12).endsWith(8191, 8191, 8191);
    }
  }

  @Test
  void shouldSayWhatIsMissing() throws IOException {
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining(
            "tokenizer.json: expected it, or vocab.json and merges.txt beside it");
    Files.writeString(folder.resolve("tokenizer.json"), "{}");
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("tokenizer.json: model.merges: expected what CLIP's tokenizers have");
    Files.writeString(
        folder.resolve("tokenizer.json"),
        "{\"model\":{\"merges\":[],\"vocab\":{\"<|startoftext|>\":0}}}");
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected the special token <|endoftext|>");
    Files.writeString(
        folder.resolve("tokenizer.json"),
        "{\"model\":{\"type\":\"BPE\",\"merges\":[\"a b\"],\"vocab\":{\"<|startoftext|>\":0,\"<|endoftext|>\":1}}}");
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("tokenizer.json: not a tokenizer");
    Files.writeString(folder.resolve("tokenizer.json"), "{nonsense");
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("not valid JSON");
  }

  /**
   * Of some the library ends the process, some it never ends with, some it reports in its words.
   */
  @ParameterizedTest(name = "{0} {1}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          normalizer    | {"type":"Prepend","prepend":"x"}
          normalizer    | {"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"x"}]}
          normalizer    | {"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":" "}
          normalizer    | {"type":"Replace","pattern":{"Regex":"\\\\s+"},"content":"aaaaaaaa"}
          normalizer    | {"type":"Precompiled","precompiled_charsmap":"AAAA"}
          normalizer    | 7
          pre_tokenizer | {"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Removed","invert":true}
          pre_tokenizer | {"type":"Metaspace","replacement":"_"}
          pre_tokenizer | {"type":"Sequence","pretokenizers":{}}
          pre_tokenizer | {"type":"ByteLevel","use_regex":"yes"}
          added_tokens  | {"id":1}
          added_tokens  | "x"
          added_tokens  | [7]
          added_tokens  | [{"id":"1","content":"a"}]
          added_tokens  | [{"id":-1,"content":"a"}]
          added_tokens  | [{"id":4294967296,"content":"a"}]
          added_tokens  | [{"id":1,"content":""}]
          added_tokens  | [{"id":1,"content":"a","lstrip":3}]
          model         | {"type":"WordPiece","vocab":{"a":0},"merges":[]}
          model         | {"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.5}
          model         | {"type":"BPE","vocab":{"a":-1},"merges":[]}
          model         | {"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}
          model         | {"type":"BPE","vocab":{"a":4294967296},"merges":[]}
          model         | {"type":"BPE","vocab":["a"],"merges":[]}
          model         | {"type":"BPE","vocab":{"a":0},"merges":{}}
          model         | {"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":5}
          """)
  void shouldRefusePartsThatNoClipTokenizerHas(String key, String value) throws IOException {
    ObjectNode root = JsonFile.read(BUNDLED.resolve("tokenizer.json"));
    root.set(key, new ObjectMapper().readTree(value));
    Files.writeString(folder.resolve("tokenizer.json"), root.toString());
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("tokenizer.json: " + key);
  }

  /** Of which the library takes the square. */
  @Test
  void shouldRefuseSpecialTokensThatAreLongerThanAny() throws IOException {
    String token = "!".repeat(1001);
    ObjectNode root = JsonFile.read(BUNDLED.resolve("tokenizer.json"));
    ((ObjectNode) root.at("/model/vocab")).put(token, 49408);
    Files.writeString(folder.resolve("tokenizer.json"), root.toString());
    Files.writeString(
        folder.resolve("tokenizer_config.json"), "{\"pad_token\": \"%s\"}".formatted(token));
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected a special token of at most 1000 letters, found 1001");
  }

  @Test
  void shouldRefuseMergesThatAreLongerThanAny() throws IOException {
    split(BUNDLED);
    try (var file = FileChannel.open(folder.resolve("merges.txt"), StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap(new byte[] {'\n'}), 500_000_000);
    }
    assertThatThrownBy(() -> Tokenizer.open(ComponentFiles.in(folder)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("merges.txt has more than 8,388,608 bytes");
  }
}
