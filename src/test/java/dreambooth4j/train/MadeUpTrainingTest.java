package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Staged;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.model.UNetConfig;
import java.io.IOException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class MadeUpTrainingTest {
  private static final MadeUpTraining.Sizes BATCH = new MadeUpTraining.Sizes(1, 4, 3);

  /** Stands in for CUDA's graphs. */
  private static final class Again implements Recorder {
    int recorded;
    boolean closed;

    @Override
    public Runnable record(Runnable work) {
      recorded++;
      return work;
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  private static UNetConfig config() throws JsonProcessingException {
    String json =
        """
        {"block_out_channels": [8, 16], "norm_num_groups": 2, "layers_per_block": 1,
         "attention_head_dim": 2, "cross_attention_dim": 8,
         "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
         "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"]}
        """;
    return UNetConfig.of(new ObjectMapper().readTree(json), "the test's UNet");
  }

  private static double loss(MadeUpTraining training, int steps) {
    double loss = Double.NaN;
    for (int i = 0; i < steps; i++) {
      loss = training.step();
    }
    return loss;
  }

  /** As on a GPU, whose memory the host cannot look into. */
  @Test
  void shouldTrainTheSameInMemoryOfADevice() throws JsonProcessingException {
    try (Arena host = Arena.open("host");
        MadeUpTraining there = new MadeUpTraining(host, config(), BATCH)) {
      double expected = loss(there, 3);
      try (Arena device = Staged.open("device");
          MadeUpTraining training = new MadeUpTraining(device, config(), BATCH)) {
        assertThat(loss(training, 3)).isEqualTo(expected).isPositive();
      }
    }
  }

  @Test
  void shouldTrainAdaptersAroundABaseOf16Bits() throws JsonProcessingException {
    double exact = lastLoss(DType.F32);
    assertThat(lastLoss(DType.BF16)).isCloseTo(exact, withinPercentage(1));
  }

  private static double lastLoss(DType dtype) throws JsonProcessingException {
    MadeUpTraining.Manner manner =
        new MadeUpTraining.Manner(dtype, MadeUpTraining.Manner.EXACT.memory()).withRank(2);
    try (Arena run = Arena.open("run");
        MadeUpTraining training = new MadeUpTraining(run, config(), BATCH, manner)) {
      double first = training.step();
      double last = loss(training, 5);
      assertThat(last).isLessThan(first);
      return last;
    }
  }

  @Tag("kernels")
  @Test
  void shouldReplayItsStepsAndRepeatThem() throws IOException {
    double once = replayed();
    assertThat(once).isPositive().isEqualTo(replayed());
  }

  private static double replayed() throws IOException {
    Again recorder = new Again();
    try (Arena run = Emulated.open()) {
      double loss;
      try (MadeUpTraining training = new MadeUpTraining(run, config(), BATCH)) {
        training.capture(recorder);
        loss = loss(training, 3);
      }
      assertThat(recorder.recorded).isEqualTo(1);
      assertThat(recorder.closed).isTrue();
      return loss;
    }
  }
}
