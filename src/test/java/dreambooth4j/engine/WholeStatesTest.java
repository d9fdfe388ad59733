package dreambooth4j.engine;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dreambooth4j.Problem;
import dreambooth4j.distributed.TestRanks;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What ranks give to the first, and what becomes of it where one has no memory or is lost. */
@Timeout(60)
class WholeStatesTest {
  private static final int BLOCK = 256;

  /** An optimizer of two groups in 8 bits, or in full, that is cut over these. */
  private static Optimizer optimizer(Arena run, Peers peers, boolean in8Bits) {
    List<Parameters> groups = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      Parameters group = new Parameters(DType.F32);
      group.declare("weight", 70, 97 + i);
      group.allocate(run, true);
      groups.add(group);
    }
    UpdateRule rule =
        UpdateRules.named(UpdateRules.DEFAULT, new UpdateRule.Constants(0.9, 0.999, 1e-8, 1e-2));
    Optimizer.Options options =
        new Optimizer.Options(0, in8Bits, 7, Anchor.NONE, new Shards(peers));
    return new PlainOptimizer(run, rule, Optimizer.Group.alike(groups), options);
  }

  /** Of the first rank's: what each block is, which is the number of the rank that has it. */
  private static List<Double> owners(Map<StateTensor, Tensor> states, String name) {
    Tensor all =
        states.entrySet().stream()
            .filter(each -> each.getKey().name().equals(name))
            .map(Map.Entry::getValue)
            .findFirst()
            .orElseThrow();
    List<Double> owners = new ArrayList<>();
    int step = name.endsWith("_scale") ? 1 : BLOCK;
    for (long at = 0; at < all.count(); at += step) {
      owners.add(all.rows(at, 1).item());
    }
    return owners;
  }

  @ParameterizedTest
  @CsvSource({"2, false", "3, true"})
  void shouldGiveTheFirstWhatEachHas(int count, boolean in8Bits) throws Exception {
    TestRanks.each(
        count,
        ranks -> {
          try (Arena run = Arena.open("run")) {
            Optimizer optimizer = optimizer(run, ranks, in8Bits);
            optimizer
                .states()
                .forEach(
                    state ->
                        state.tensors().values().forEach(each -> each.fill_(1 + ranks.rank())));
            long before = run.meter().liveBytes();
            run.meter().resetPeak();
            try (WholeStates whole = requireNonNull(WholeStates.gather(run, optimizer))) {
              if (ranks.isFirst()) {
                assertThat(run.meter().peakBytes() - before)
                    .isCloseTo(WholeStates.bytes(run, optimizer), withinPercentage(0.1));
                check(optimizer, whole.all(), in8Bits ? "mean_scale" : "variance");
              }
            }
            assertThat(run.meter().liveBytes()).isEqualTo(before);
          }
          return true;
        });
  }

  private static void check(Optimizer optimizer, List<Map<StateTensor, Tensor>> all, String name) {
    for (int group = 0; group < all.size(); group++) {
      OptimizerState state = optimizer.states().get(group);
      List<Double> expected = new ArrayList<>();
      long elements = state.parameters().flatCount();
      int count = requireNonNull(optimizer.shards().peers()).size();
      for (int rank = 0; rank < count; rank++) {
        for (long i = 0; i < optimizer.shards().of(rank, elements).length(); i += BLOCK) {
          expected.add(1.0 + rank);
        }
      }
      assertThat(owners(all.get(group), name)).isEqualTo(expected);
    }
  }

  /** Each hears of it before anything is sent, so none waits, and it works where there is room. */
  @ParameterizedTest
  @CsvSource({
    "0, 'rank 0 has no memory for the optimizer''s states of all ranks, 0.1 MB'",
    "1, 'rank 1 has no memory to pass on its part of the optimizer''s states'"
  })
  void shouldGatherNothingWhereOneHasNoMemory(int poor, String expected) throws Exception {
    TestRanks.each(
        2,
        ranks -> {
          try (Arena run = Arena.open("run")) {
            Optimizer optimizer = optimizer(run, ranks, false);
            long before = run.meter().liveBytes();
            if (ranks.rank() == poor) {
              run.meter().limit(before + 1000);
            }
            try (WholeStates none = requireNonNull(WholeStates.gather(run, optimizer))) {
              assertThatThrownBy(none::all)
                  .isInstanceOf(Problem.class)
                  .hasMessage(expected)
                  .extracting(each -> ((Problem) each).kind())
                  .isEqualTo(Problem.Kind.FAILED);
              assertThat(run.meter().liveBytes()).isEqualTo(before);
            }
            run.meter().limit(Long.MAX_VALUE);
            try (WholeStates whole = requireNonNull(WholeStates.gather(run, optimizer))) {
              assertThat(whole.all()).hasSize(ranks.isFirst() ? 2 : 0);
            }
          }
          return true;
        });
  }

  /** Two processes of which the other is not there, or is lost when it is to send something. */
  private static class Half extends SilentPeers {
    private final @Nullable Problem lost;

    Half(@Nullable Problem lost) {
      super(0, 2);
      this.lost = lost;
    }

    @Override
    public void broadcast(Tensor tensor, int owner) {
      if (lost != null && owner == 1) {
        throw lost;
      }
    }
  }

  /** Beside a device's memory the machine's own counts, as it is then. */
  @Test
  void shouldAskForTheMachinesMemoryBesideADevice() {
    try (Arena run = Arena.staged("run")) {
      Optimizer optimizer = optimizer(run, new Half(null), false);
      try (WholeStates none =
          requireNonNull(WholeStates.gather(run, optimizer, () -> OptionalLong.of(100_000)))) {
        assertThat(none.isMissing()).isTrue();
        assertThatThrownBy(none::all)
            .cause()
            .hasMessageContaining("of the 100,000 that the system had");
      }
      try (WholeStates whole =
          requireNonNull(WholeStates.gather(run, optimizer, () -> OptionalLong.of(1_000_000)))) {
        assertThat(whole.all()).hasSize(2);
      }
    }
  }

  /** A sum that fails has changed no weights; what is told after the update may be half told. */
  @Test
  void shouldKnowWhetherARankWasLostWhileWeightsChanged() {
    Problem lost = new Problem(Problem.Kind.FAILED, "rank 1 does not answer");
    try (Arena run = Arena.open("run")) {
      Peers none =
          new Half(null) {
            @Override
            public void finish() {
              throw lost;
            }
          };
      assertThat(isUpdatingAfter(lost, run, none)).isFalse();
      assertThat(isUpdatingAfter(lost, run, new Half(lost))).isTrue();
    }
  }

  private static boolean isUpdatingAfter(Problem lost, Arena run, Peers peers) {
    Optimizer optimizer = optimizer(run, peers, false);
    Tensor rate = run.floats("rate", new float[] {1e-3f}, 1);
    Tensor scale = run.floats("scale", new float[] {1}, 1);
    Tensor norm = run.zeros("norm", DType.F32, 1);
    optimizer.begin(rate);
    assertThatThrownBy(() -> optimizer.update(rate, scale, norm)).isSameAs(lost);
    return optimizer.isUpdating();
  }

  @Test
  void shouldFreeWhatItHasWhereARankIsLost() {
    Problem lost = new Problem(Problem.Kind.FAILED, "rank 1 does not answer");
    try (Arena run = Arena.open("run")) {
      Optimizer optimizer = optimizer(run, new Half(lost), false);
      long before = run.meter().liveBytes();
      assertThatThrownBy(() -> WholeStates.gather(run, optimizer)).isSameAs(lost);
      assertThat(run.meter().liveBytes()).isEqualTo(before);
    }
  }
}
