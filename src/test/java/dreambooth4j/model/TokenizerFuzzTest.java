package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import dreambooth4j.weights.ComponentFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Files {@code tokenizer.json} of any content, our part of reading them and the library's. */
@Timeout(60)
class TokenizerFuzzTest {
  static Stream<byte[]> tokenizers() {
    String small =
        """
        {"version":"1.0","truncation":{},"padding":null,
         "added_tokens":[{"id":1,"content":"<|startoftext|>","single_word":false,"lstrip":false,
           "rstrip":false,"normalized":false,"special":true}],
         "normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"ByteLevel",
           "add_prefix_space":false,"trim_offsets":true,"use_regex":true},
         "post_processor":null,"decoder":null,
         "model":{"type":"BPE","dropout":null,"unk_token":"<|endoftext|>",
           "continuing_subword_prefix":"","end_of_word_suffix":"</w>","fuse_unk":false,
           "vocab":{"<|endoftext|>":0,"<|startoftext|>":1,"a":2,"b</w>":3,"ab</w>":4},
           "merges":["a b</w>"]}}
        """;
    return Stream.of(small.getBytes(StandardCharsets.UTF_8));
  }

  @MethodSource("tokenizers")
  @FuzzTest
  void shouldReadOrRefuse(byte[] content) {
    Untrusted.read("tokenizer.json", content, TokenizerFuzzTest::check);
  }

  private static void check(Path file) {
    try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(file.resolveSibling("")))) {
      assertThat(tokenizer.encode("a photo of ab, (b)")).hasSize(tokenizer.length());
    }
  }
}
