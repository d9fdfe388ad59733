package dreambooth4j.verify;

import dreambooth4j.Problem;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.TensorSource;
import dreambooth4j.weights.WeightComparison;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The model itself in a single file, whole or in part: the same numbers, every one of them. */
final class SingleFileCase {
  private SingleFileCase() {}

  static List<Check> run(ModelSource model, Path file) {
    ModelOptions options = new ModelOptions(null, model.path(), null);
    ModelSource single = ModelSource.find(file.toString(), options);
    List<Check> checks = new ArrayList<>();
    for (Component component : model.pipeline().components()) {
      if (!single.hasWeights(component)) {
        continue;
      }
      try (TensorSource theirs = single.weights(component);
          TensorSource ours = model.weights(component)) {
        WeightComparison.differing(component, ours, theirs)
            .forEach(
                (name, count) ->
                    checks.add(
                        new Check(
                            component.folder() + "." + name, "numbers that differ", count, 0)));
      }
    }
    if (checks.isEmpty()) {
      throw Problem.data(file + ": it has no weights of this model");
    }
    return checks;
  }
}
