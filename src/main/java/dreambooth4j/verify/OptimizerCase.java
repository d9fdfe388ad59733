package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Moment;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.OptimizerState;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.PlainOptimizer;
import dreambooth4j.engine.StateTensor;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.UpdateScalars;
import dreambooth4j.engine.op.ChannelsLast;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * An optimizer alone, on recorded gradients: {@code input.gradient.NAME} [steps, ..] of each
 * parameter {@code input.NAME}, which after each step is {@code output.NAME}; or one parameter
 * called {@code parameter}, whose gradients are {@code input.gradients}.
 */
final class OptimizerCase {
  private static final String GRADIENT = "input.gradient.";
  private static final String ONLY = "input.gradients";

  /** As bitsandbytes has it. */
  private static final long LEAST_IN_8_BITS = 4096;

  private OptimizerCase() {}

  static void run(Arena arena, Golden golden) {
    Map<String, Tensor> gradients = new LinkedHashMap<>();
    for (String each : golden.names(GRADIENT)) {
      gradients.put(each.substring(GRADIENT.length()), golden.input(arena, each));
    }
    if (golden.has(ONLY)) {
      gradients.put("parameter", golden.input(arena, ONLY));
    }
    if (golden.has("input.qmap1")) {
      // Tensors of few elements keep what is remembered in F32 there.
      gradients.forEach(
          (name, of) ->
              train(arena, golden, Map.of(name, of), of.count() / of.size(0) >= LEAST_IN_8_BITS));
    } else {
      train(arena, golden, gradients, false);
    }
  }

  /** Trains some of the parameters as one group. */
  private static void train(
      Arena arena, Golden golden, Map<String, Tensor> gradients, boolean in8Bits) {
    Parameters parameters = new Parameters(DType.F32);
    gradients.forEach(
        (name, of) ->
            parameters.declare(name, Arrays.copyOfRange(of.shape(), 1, of.shape().length)));
    parameters.allocate(arena, true);
    for (Parameter each : parameters.all()) {
      each.weight().copyFrom(inMemory(arena, each, golden.input(arena, "input." + each.name())));
    }
    PlainOptimizer optimizer =
        new PlainOptimizer(
            arena,
            rule(golden),
            Optimizer.Group.alike(List.of(parameters)),
            new Optimizer.Options(0, in8Bits, 0));
    optimizer.zeroGradients();
    UpdateScalars scalars = new UpdateScalars(arena);
    Map<String, List<float[]>> paths = new LinkedHashMap<>();
    long steps = gradients.values().stream().mapToLong(each -> each.size(0)).min().orElse(0);
    for (int i = 0; i < steps; i++) {
      for (Parameter each : parameters.all()) {
        Tensor recorded = gradients.get(each.name());
        if (recorded != null) {
          each.gradient().copyFrom(inMemory(arena, each, recorded.rows(i, 1)));
        }
      }
      scalars.write(rate(golden, i), 1).update(optimizer);
      states(optimizer, paths);
      for (Parameter each : parameters.all()) {
        paths
            .computeIfAbsent(each.name(), name -> new ArrayList<>())
            .add(each.toFileOrder(arena, each.weight()).toFloats());
      }
    }
    for (Map.Entry<String, List<float[]>> each : paths.entrySet()) {
      String recorded = "output." + each.getKey();
      if (golden.has(recorded)) {
        golden.path(
            arena, recorded, each.getValue(), in8Bits ? Limits.IN_8_BITS : Limits.OPTIMIZER);
      }
    }
    saved(arena, golden, optimizer);
    if (in8Bits) {
      codes(arena, golden, optimizer);
    }
  }

  private static Tensor inMemory(Arena arena, Parameter parameter, Tensor recorded) {
    Tensor whole = recorded.reshaped(parameter.fileShape());
    return parameter.fileShape().length == 4 ? ChannelsLast.of(arena, whole) : whole;
  }

  /** The codes of what is remembered in 8 bits, and their scales. */
  private static void codes(Arena arena, Golden golden, Optimizer optimizer) {
    OptimizerState state = optimizer.states().get(0);
    Parameter only = state.parameters().all().get(0);
    for (int i = 0; i < 2; i++) {
      Moment moment = state.moments().get(i);
      String name = "output.state%d.%s".formatted(i + 1, only.name());
      int count = (int) only.count();
      byte[] theirs = new byte[count];
      byte[] ours = new byte[count];
      golden.bytes(arena, name, theirs);
      moment.values().bytes(0, count).get(ours);
      int differing = 0;
      for (int j = 0; j < count; j++) {
        differing += ours[j] == theirs[j] ? 0 : 1;
      }
      golden.counted(name, "codes that differ", differing);
      float[] scales = Objects.requireNonNull(moment.scales()).toFloats();
      int blocks = (count + StateTensor.BLOCK - 1) / StateTensor.BLOCK;
      golden.output(
          arena,
          "output.absmax%d.%s".formatted(i + 1, only.name()),
          Arrays.copyOf(scales, blocks),
          Limits.OPTIMIZER);
    }
  }

  /** What is remembered of the whole group. */
  private static void states(Optimizer optimizer, Map<String, List<float[]>> paths) {
    for (OptimizerState each : optimizer.states()) {
      each.tensors()
          .forEach(
              (what, tensor) -> {
                if (what.extent() == StateTensor.Extent.GROUP) {
                  paths
                      .computeIfAbsent(what.name(), name -> new ArrayList<>())
                      .add(new float[] {(float) tensor.item()});
                }
              });
    }
  }

  /** What is saved, of a rule that saves something else than the weights. */
  private static void saved(Arena arena, Golden golden, Optimizer optimizer) {
    optimizer.bringUpSaved();
    Parameters parameters = optimizer.states().get(0).parameters();
    for (Parameter each : parameters.all()) {
      String name = "output.eval." + each.name();
      if (golden.has(name)) {
        float[] ours = each.toFileOrder(arena, each.saved()).toFloats();
        golden.output(arena, name, ours, Limits.OPTIMIZER);
      }
    }
  }

  /** The learning rate of a step; a warm-up of the rule's own is the schedule's here. */
  private static double rate(Golden golden, int step) {
    double rate = golden.settings().path("lr").asDouble();
    int warmup = golden.settings().path("warmup_steps").asInt();
    return rate * (step < warmup ? (step + 1.0) / warmup : 1);
  }

  /** Cases that name no rule were recorded when there was one alone. */
  private static UpdateRule rule(Golden golden) {
    JsonNode settings = golden.settings();
    String name = settings.path("name").asText(UpdateRules.DEFAULT);
    JsonNode betas = settings.path("betas");
    Map<String, Double> arguments = new HashMap<>();
    settings
        .properties()
        .forEach(
            each -> {
              JsonNode value = each.getValue();
              if (value.isNumber()) {
                arguments.put(each.getKey(), value.asDouble());
              } else if (value.isBoolean()) {
                arguments.put(each.getKey(), value.asBoolean() ? 1.0 : 0.0);
              }
            });
    UpdateRule.Constants constants =
        new UpdateRule.Constants(
            betas.path(0).asDouble(),
            betas.path(1).asDouble(),
            settings.path("eps").asDouble(),
            settings.path("weight_decay").asDouble(),
            arguments);
    // The longest name that the case's begins with: adafactor_fixed, adamw8bit.
    String plain = name.equals("schedule_free_adamw") ? "adamwschedulefree" : name;
    return UpdateRules.names().stream()
        .filter(known -> plain.toLowerCase(Locale.ROOT).startsWith(known.toLowerCase(Locale.ROOT)))
        .max(Comparator.comparingInt(String::length))
        .map(known -> UpdateRules.named(known, constants))
        .orElseThrow(() -> golden.notUnderstood("optimizer " + name));
  }
}
