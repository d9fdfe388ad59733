package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.PlainOptimizer;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.UpdateScalars;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An optimizer alone, on recorded gradients: {@code input.gradient.NAME} [steps, ..] of each
 * parameter {@code input.NAME}, which after each step is {@code output.NAME}; or one parameter
 * called {@code parameter}, whose gradients are {@code input.gradients}.
 */
final class OptimizerCase {
  private static final String GRADIENT = "input.gradient.";
  private static final String ONLY = "input.gradients";

  private OptimizerCase() {}

  static void run(Arena arena, Golden golden) {
    Map<String, Tensor> gradients = new LinkedHashMap<>();
    for (String each : golden.names(GRADIENT)) {
      gradients.put(each.substring(GRADIENT.length()), golden.input(arena, each));
    }
    if (golden.has(ONLY)) {
      gradients.put("parameter", golden.input(arena, ONLY));
    }
    Parameters parameters = new Parameters(DType.F32);
    gradients.forEach((name, of) -> parameters.declare(name, of.count() / of.size(0)));
    parameters.allocate(arena, true);
    for (Parameter each : parameters.all()) {
      each.weight().copyFrom(golden.input(arena, "input." + each.name()).reshaped(each.count()));
    }
    Optimizer optimizer =
        new PlainOptimizer(
            arena,
            rule(golden),
            Optimizer.Group.alike(List.of(parameters)),
            Optimizer.Options.PLAIN);
    UpdateScalars scalars = new UpdateScalars(arena).write(golden.setting("lr").asDouble(), 1);
    Map<String, List<float[]>> paths = new LinkedHashMap<>();
    long steps = gradients.values().stream().mapToLong(each -> each.size(0)).min().orElse(0);
    for (int i = 0; i < steps; i++) {
      for (Parameter each : parameters.all()) {
        Tensor recorded = gradients.get(each.name());
        if (recorded != null) {
          each.gradient().copyFrom(recorded.rows(i, 1).reshaped(each.count()));
        }
      }
      scalars.update(optimizer);
      for (Parameter each : parameters.all()) {
        paths.computeIfAbsent(each.name(), name -> new ArrayList<>()).add(each.weight().toFloats());
      }
    }
    paths.forEach((name, path) -> golden.path(arena, "output." + name, path, Limits.OPTIMIZER));
  }

  /** Cases that name no rule were recorded when there was one alone. */
  private static UpdateRule rule(Golden golden) {
    String name = golden.settings().path("name").asText(UpdateRules.DEFAULT);
    JsonNode betas = golden.setting("betas");
    UpdateRule.Constants constants =
        new UpdateRule.Constants(
            betas.path(0).asDouble(),
            betas.path(1).asDouble(),
            golden.settings().path("eps").asDouble(),
            golden.setting("weight_decay").asDouble());
    return UpdateRules.names().stream()
        .filter(name::equalsIgnoreCase)
        .findFirst()
        .map(known -> UpdateRules.named(known, constants))
        .orElseThrow(() -> golden.notUnderstood("optimizer " + name));
  }
}
