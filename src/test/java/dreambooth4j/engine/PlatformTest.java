package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;

class PlatformTest {
  /** Both change which kernels multiply, and so how products round. */
  @Test
  void shouldSayAllThatOpenBlasIsTold() {
    assertThat(Platform.told(Map.of("OPENBLAS_CORETYPE", "", "HOME", "/root"))).isEmpty();
    String told = Platform.told(Map.of("OPENBLAS_L2_SIZE", "1024", "OPENBLAS_CORETYPE", "Haswell"));
    assertThat(told).isEqualTo(", OPENBLAS_CORETYPE=Haswell, OPENBLAS_L2_SIZE=1024");
    assertThat(Platform.settingFor("OpenBLAS 0.1" + told))
        .isEqualTo("DREAMBOOTH_BLAS=openblas OPENBLAS_CORETYPE=Haswell OPENBLAS_L2_SIZE=1024");
  }
}
