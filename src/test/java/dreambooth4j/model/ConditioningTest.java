package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ConditioningTest {
  private static Conditioning<Tensor> row(Arena arena, float first) {
    Map<String, Tensor> named = new LinkedHashMap<>();
    named.put(Conditioning.HIDDEN_STATES, arena.floats("a", new float[] {first, 2}, 1, 2, 1));
    named.put("size ids", arena.floats("b", new float[] {-first}, 1, 1));
    return new Conditioning<>(named);
  }

  @Test
  void shouldStackEachTensorUnderItsName() {
    try (Arena arena = Arena.open("test")) {
      Conditioning<Tensor> stacked =
          Conditioning.stack(arena, List.of(row(arena, 1), row(arena, 3)));
      assertThat(stacked.named().keySet()).containsExactly(Conditioning.HIDDEN_STATES, "size ids");
      assertThat(stacked.hiddenStates().toFloats()).containsExactly(1, 2, 3, 2);
      assertThat(stacked.get("size ids").toFloats()).containsExactly(-1, -3);
    }
  }

  @Test
  void shouldSayWhatIsMissing() {
    Conditioning<String> prompts = Conditioning.of("states");
    assertThat(prompts.map((name, value) -> name + " " + value).hiddenStates())
        .isEqualTo("hidden states states");
    assertThatThrownBy(() -> prompts.get("pooled text"))
        .hasMessage("expected pooled text, found [hidden states]");
  }

  @Test
  void shouldFreeAllThatItsHolderLetsGo() {
    try (Arena arena = Arena.open("test")) {
      Conditioning<Tensor> held = row(arena, 1);
      assertThat(arena.meter().liveBytes()).isPositive();
      Conditioning.release(held);
      assertThat(arena.meter().liveBytes()).isZero();
    }
  }
}
