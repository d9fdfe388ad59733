package dreambooth4j.config.imports;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Files of other trainers of any content. */
@Timeout(60)
class ImportFuzzTest {
  static Stream<byte[]> files() {
    return Stream.of(
            "[a]\nresolution = [512, 0]\nsave_last_n_steps = 3\nsave_n_epoch_ratio = 0",
            "[[datasets]]\nresolution = 0\n[[datasets.subsets]]\nimage_dir = 1\nis_reg = true",
            "[[datasets]]\n[[datasets.subsets]]\nimage_dir = \"a\\u0000b\"\nnum_repeats = []",
            "[[datasets]]\n[[datasets.subsets]]\nimage_dir = \"a\\u0000b\"",
            "[a]\nnetwork_module = \"networks.lora\"\nnetwork_args = [\"conv_dim\"]",
            """
            A=1\s
            python x\\y.py --seed $A --network_args a=b --lr_warmup_steps 1e999 \\
             --wibble""",
            "{\"training_method\": {}, \"unet\": [], \"concepts\": [1, {\"text\": 3}], \"epochs\":"
                + " 0}",
            """
            [a]
            unet_lr = 1e-4
            learning_rate = "x"
            resolution = -8
            network_module = "networks.lora\"""",
            "{\"epochs\": [1, 2",
            "{\"epochs\": 1.5, \"concepts\": [{}], \"optimizer\": {\"optimizer\": 3}}",
            "{\"samples\": [{}], \"text_encoder\": {\"stop_training_after\": 3}, \"epochs\":"
                + " \"x\"}")
        .map(text -> text.getBytes(StandardCharsets.UTF_8));
  }

  @MethodSource("files")
  @FuzzTest
  void shouldImportOrRefuse(byte[] content) {
    for (String name : new String[] {"a.toml", "a.json"}) {
      Untrusted.read(name, content, file -> Importer.of(List.of(file), Path.of("nowhere")));
    }
  }
}
