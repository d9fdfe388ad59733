package dreambooth4j.distributed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class RanksTest {
  private static final int PIECE = 1001;

  @ParameterizedTest
  @EnumSource(names = {"F32", "F64", "BF16", "F16", "I64"})
  void shouldAddUpOverAllRanksInPlace(DType type) throws Exception {
    List<double[]> sums =
        TestRanks.each(
            3,
            ranks -> {
              try (Arena arena = Arena.open("rank")) {
                Tensor some = arena.zeros("some", DType.F32, PIECE);
                Tensor all = arena.zeros("all", type, 2 * PIECE);
                float[] values = new float[PIECE];
                Arrays.fill(values, ranks.rank() + 1);
                some.copyFrom(values);
                all.rows(PIECE, PIECE).copyFrom(some);
                ranks.begin(some);
                ranks.begin(all.rows(PIECE, PIECE));
                ranks.finish();
                assertThat(some.toFloats()).containsOnly(6f);
                Tensor wide = arena.allocate("wide", DType.F64, 2 * PIECE);
                wide.copyFrom(all);
                return wide.toDoubles();
              }
            });
    for (double[] each : sums) {
      assertThat(each).startsWith(0, 0).endsWith(6, 6).containsOnly(0, 6);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "F64", "BF16", "U8"})
  void shouldAddUpForOneRankAndTellWhatOneRankHas(DType type) throws Exception {
    List<double[]> heard =
        TestRanks.each(
            3,
            ranks -> {
              try (Arena arena = Arena.open("rank")) {
                Tensor wide = arena.allocate("wide", DType.F64, PIECE);
                double[] values = new double[PIECE];
                Arrays.fill(values, ranks.rank() + 1);
                wide.copyFrom(values);
                Tensor all = arena.zeros("all", type, 2 * PIECE);
                Tensor part = all.rows(PIECE, PIECE);
                part.copyFrom(wide);
                ranks.reduce(part, 1);
                ranks.finish();
                ranks.broadcast(part, 1);
                ranks.finish();
                Tensor read = arena.allocate("read", DType.F64, 2 * PIECE);
                read.copyFrom(all);
                return read.toDoubles();
              }
            });
    for (double[] each : heard) {
      assertThat(each).startsWith(0, 0).endsWith(6, 6).containsOnly(0, 6);
    }
  }

  @Test
  void shouldHearWhatEachRankSaysAndWhetherAnyAgrees() throws Exception {
    List<String> heard =
        TestRanks.each(
            2,
            ranks -> {
              assertThat(ranks.any(false)).isFalse();
              assertThat(ranks.any(ranks.rank() == 1)).isTrue();
              return ranks.gather(ranks.isFirst() ? "" : "žluťoučký kůň").toString();
            });
    assertThat(heard).containsOnly("[, žluťoučký kůň]");
  }

  @Test
  void shouldSayOnAllRanksWhatDiffers() throws Exception {
    List<Throwable> thrown =
        TestRanks.each(
            3,
            ranks -> {
              ranks.requireSame("the seed", "1");
              return catchThrowable(
                  () -> ranks.requireSame("the seed", ranks.rank() == 2 ? "7" : "1"));
            });
    assertThat(thrown)
        .allSatisfy(
            each -> assertThat(each).isInstanceOf(Problem.class).hasMessageContaining("rank 2"));
  }

  @Test
  void shouldNameARankThatEndsByItself() throws Exception {
    List<String> said =
        TestRanks.each(
            3,
            ranks -> {
              if (ranks.rank() == 1) {
                ranks.fail("no space left on the disk");
                return "";
              }
              String message = catchThrowable(ranks::await).getMessage();
              assertThat(ranks.saves()).isEqualTo(ranks.isFirst());
              return message;
            });
    assertThat(said.get(0)).startsWith("rank 1 (").endsWith("ended: no space left on the disk");
    assertThat(said.get(2)).isEqualTo(said.get(0));
  }

  /** Its heartbeat stands still, as that of a process that SIGSTOP has stopped. */
  @ParameterizedTest
  @ValueSource(ints = {0, 2})
  void shouldNameARankThatIsSilentAndSaveOnTheFirstOfTheOthers(int silent) throws Exception {
    CountDownLatch others = new CountDownLatch(2);
    List<Boolean> saving =
        TestRanks.each(
            3,
            TimeUnit.SECONDS.toNanos(2),
            ranks -> {
              if (ranks.rank() == silent) {
                ((ProcessGroups) ranks).stopHeartbeats();
                await(others);
                return false;
              }
              assertThatThrownBy(ranks::await)
                  .isInstanceOf(Problem.class)
                  .hasMessageContaining("rank " + silent + " (")
                  .hasMessageContaining("does not answer");
              others.countDown();
              return ranks.saves();
            });
    assertThat(saving).containsExactly(silent != 0, silent == 0, false);
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(1, TimeUnit.MINUTES)).isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void shouldBeAloneWithoutALauncher() {
    assertThat(Ranks.of(Map.of())).isSameAs(Ranks.alone());
    assertThat(Ranks.of(Map.of("WORLD_SIZE", "1"))).isSameAs(Ranks.alone());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "WORLD_SIZE=2",
        "WORLD_SIZE=x RANK=0 MASTER_ADDR=h MASTER_PORT=1",
        "WORLD_SIZE=2 RANK=2 MASTER_ADDR=h MASTER_PORT=1",
        "WORLD_SIZE=2 RANK=-1 MASTER_ADDR=h MASTER_PORT=1",
        "WORLD_SIZE=2 RANK=0 MASTER_PORT=1",
        "WORLD_SIZE=2 RANK=0 MASTER_ADDR=h MASTER_PORT=65536"
      })
  void shouldSayWhatIsWrongWithTheEnvironment(String variables) {
    Map<String, String> environment = new HashMap<>();
    for (String each : variables.split(" ", -1)) {
      environment.put(each.split("=", -1)[0], each.split("=", -1)[1]);
    }
    assertThatThrownBy(() -> Ranks.of(environment))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("WORLD_SIZE")
        .extracting(e -> ((Problem) e).kind())
        .isEqualTo(Problem.Kind.USAGE);
  }

  @Test
  void shouldKnowTorchrunsOwnStoreAndItsRestarts() {
    RankEnvironment found =
        RankEnvironment.of(
            Map.of(
                "WORLD_SIZE",
                "2",
                "RANK",
                "0",
                "MASTER_ADDR",
                "h",
                "MASTER_PORT",
                "29500",
                "TORCHELASTIC_USE_AGENT_STORE",
                "True",
                "TORCHELASTIC_RESTART_COUNT",
                "3"));
    assertThat(found).isEqualTo(new RankEnvironment(0, 2, 1, "h", 29500, true, "3"));
  }

  @Test
  void shouldSayHowSoManyProcessesAreStartedAgain() {
    Map<String, String> set = new HashMap<>(LocalRanks.environment(1, 2, 1234, Map.of()));
    assertThat(Launch.of(Map.of())).isEqualTo(Launch.ALONE);
    assertThat(Launch.of(set)).isEqualTo(new Launch(List.of(), List.of("--nproc", "2"), false));
    set.remove(Launch.NPROC);
    assertThat(Launch.of(set).byHand()).isTrue();
    set.put("TORCHELASTIC_RUN_ID", "none");
    assertThat(Launch.of(set).before())
        .containsExactly("torchrun", "--no-python", "--nproc-per-node=2");
    set.put("LOCAL_WORLD_SIZE", "1");
    assertThat(Launch.of(set).byHand()).isTrue();
  }

  @Test
  void shouldGiveEachRankAGpuOfThoseThatAreVisible() {
    Map<String, String> outer = Map.of("CUDA_VISIBLE_DEVICES", "4,7", "OMP_NUM_THREADS", "3");
    assertThat(LocalRanks.environment(1, 2, 1234, outer))
        .containsEntry("RANK", "1")
        .containsEntry("LOCAL_RANK", "1")
        .containsEntry("WORLD_SIZE", "2")
        .containsEntry("MASTER_PORT", "1234")
        .containsEntry("CUDA_VISIBLE_DEVICES", "7")
        .doesNotContainKey("OMP_NUM_THREADS");
    assertThat(LocalRanks.environment(1, 2, 1234, Map.of()))
        .containsEntry("CUDA_VISIBLE_DEVICES", "1")
        .containsKey("OMP_NUM_THREADS");
  }
}
