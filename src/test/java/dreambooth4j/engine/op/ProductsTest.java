package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Tensor;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which library multiplies; that both multiply right is {@link OpParityTest}'s. */
class ProductsTest {
  @BeforeEach
  void onlyWithAvx512() {
    assumeTrue(Platform.hasAny("avx512f") && Platform.blas().startsWith("OpenBLAS"));
  }

  @Test
  void shouldMultiplyByOneDnnWhereItIsFaster() {
    try (Arena arena = Arena.open("test")) {
      Tensor weight = arena.zeros("weight", DType.F32, 256, 256);
      assertThat(Products.isOneDnn(arena.zeros("dy", DType.F32, 2, 16, 256), weight)).isTrue();
      assertThat(Products.isOneDnn(arena.zeros("dy", DType.F32, 31, 256), weight)).isFalse();
      Tensor small = arena.zeros("weight", DType.F32, 256, 255);
      assertThat(Products.isOneDnn(arena.zeros("dy", DType.F32, 32, 256), small)).isFalse();
      Tensor half = arena.zeros("weight", DType.BF16, 256, 256);
      assertThat(Products.isOneDnn(arena.zeros("dy", DType.BF16, 32, 256), half)).isFalse();
    }
  }

  /** It makes a gradient before it adds it, which the plan has to count. */
  @Test
  void shouldBePlannedAsItIsRun() {
    try (Arena dry = Arena.open("plan", OpBackend.dry(Device.CPU))) {
      Tensor weight = dry.zeros("weight", DType.F32, 256, 256);
      assertThat(Products.isOneDnn(dry.zeros("dy", DType.F32, 32, 256), weight)).isTrue();
      assertThat(Products.isOneDnn(dry.zeros("dy", DType.F32, 31, 256), weight)).isFalse();
    }
  }

  @Test
  void shouldGiveTheSameBitsEachTime() {
    try (Arena arena = Arena.open("test")) {
      SplittableRandom random = new SplittableRandom(3);
      Tensor x = OpCase.random(arena, DType.F32, random, 40, 256);
      Tensor weight = OpCase.random(arena, DType.F32, random, 256, 256);
      Tensor first = product(arena, x, weight);
      for (int i = 0; i < 5; i++) {
        assertThat(product(arena, x, weight).handle().equal(first.handle())).isTrue();
      }
    }
  }

  private static Tensor product(Arena arena, Tensor x, Tensor weight) {
    return arena.compute(
        "product",
        () ->
            Products.backward(
                Products.forward(x.handle(), weight.handle(), null), weight.handle()));
  }
}
