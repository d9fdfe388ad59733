package dreambooth4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import org.junit.jupiter.api.Test;

class ProblemTest {
  @Test
  void shouldSayWhyWithoutTheNamesOfClasses() {
    IOException plain = new IOException("Input/output error");
    assertThat(Problem.why(plain)).isEqualTo("Input/output error");
    assertThat(Problem.why(new IOException(plain))).isEqualTo("Input/output error");
    assertThat(Problem.why(new IOException(new AccessDeniedException("x"))))
        .isEqualTo("permission denied");
    assertThat(Problem.why(new IOException("its list is damaged", plain)))
        .isEqualTo("its list is damaged");
  }
}
