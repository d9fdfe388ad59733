package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the base model draws outside of masks is held while adapters learn what they show. */
class MaskedPriorTest {
  private static final String KEY = "masked_prior_preservation_weight";

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  /** Pictures whose left half is masked in. */
  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("use_lora", true)
            .with("masked_loss", true)
            .with("learning_rate", 0.02)
            .with("num_train_epochs", 2);
    for (int i = 0; i < 5; i++) {
      int width = i < 3 ? 32 : 48;
      BufferedImage mask = new BufferedImage(width, 32, BufferedImage.TYPE_BYTE_GRAY);
      for (int at = 0; at < 32 * width / 2; at++) {
        mask.setRGB(at % (width / 2), at / (width / 2), 0xffffff);
      }
      ImageIO.write(mask, "png", tiny.pictures().resolve("p" + i + ".mask.png").toFile());
    }
  }

  private static List<Double> losses(TinyTrainer trainer) {
    return trainer.train().reports.stream().map(each -> each.losses().total()).toList();
  }

  /** Adapters begin as the base model, so nothing differs from it before the first update. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "seed=1",
        "train_text_encoder=true mixed_precision=bf16 gradient_checkpointing=true",
        "prior=prediction stop_text_encoder=0.5",
      })
  void shouldCostNothingBeforeAdaptersLearnAndHoldThemBackThen(String keys) {
    tiny.withOptions(keys);
    try (TinyTrainer free = new TinyTrainer(tiny);
        TinyTrainer held = new TinyTrainer(tiny.with(KEY, 1))) {
      List<Double> without = losses(free);
      List<Double> with = losses(held);
      assertThat(with.get(0)).isCloseTo(without.get(0), within(1e-6));
      assertThat(with.subList(1, with.size())).isNotEqualTo(without.subList(1, without.size()));
      assertThat(held.unet()).isNotEqualTo(free.unet());
    }
  }

  @Test
  void shouldGoOnFromACheckpointBitForBit() {
    tiny.with(KEY, 0.5).with("train_text_encoder", true);
    Path checkpoint = folder.resolve("checkpoint-2");
    try (TinyTrainer whole = new TinyTrainer(tiny).train();
        TinyTrainer first = new TinyTrainer(tiny).train(2);
        TinyTrainer second = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
      assertThat(second.trainer.resume(checkpoint)).isEmpty();
      second.train();
      assertThat(second.unet()).isEqualTo(whole.unet());
      assertThat(second.text()).isEqualTo(whole.text());
    }
  }

  private void refused(String why) {
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> tiny.config())
        .withMessageContaining(KEY + ": 0.5")
        .withMessageContaining(why);
  }

  @Test
  void shouldSayWhatItNeeds() {
    tiny.with(KEY, 0.5).with("use_lora", false);
    refused("set use_lora: true");
    tiny.with("use_lora", true).with("masked_loss", false);
    refused("set masked_loss: true too");
    tiny.with("masked_loss", true).with("normalize_masked_area_loss", true);
    refused("leave out one of the two");
  }
}
