package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.List;

/** The optimizer alone, on recorded gradients. */
final class AdamWCase {
  private AdamWCase() {}

  static void run(Arena arena, Golden golden) {
    JsonNode betas = golden.setting("betas");
    AdamW.Settings settings =
        new AdamW.Settings(
            betas.path(0).asDouble(),
            betas.path(1).asDouble(),
            golden.setting("eps").asDouble(),
            golden.setting("weight_decay").asDouble());
    Tensor gradients = golden.input(arena, "input.gradients");
    Parameters parameters = new Parameters(DType.F32);
    var parameter = parameters.declare("parameter", gradients.size(1));
    parameters.allocate(arena, true);
    parameter.weight().copyFrom(golden.input(arena, "input.parameter"));
    AdamW optimizer = new AdamW(arena, settings, List.of(parameters));
    List<float[]> path = new ArrayList<>();
    for (int i = 0; i < gradients.size(0); i++) {
      parameter.gradient().copyFrom(gradients.rows(i, 1).reshaped(gradients.size(1)));
      optimizer.step(golden.setting("lr").asDouble(), 1);
      path.add(parameter.weight().toFloats());
    }
    golden.path(arena, "output.parameter", path, Limits.ADAMW);
  }
}
