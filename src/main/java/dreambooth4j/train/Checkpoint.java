package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.OptimizerState;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.StateTensor;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.WholeStates;
import dreambooth4j.weights.Checksum;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.SafetensorsWriter;
import dreambooth4j.weights.TensorInfo;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a run needs to go on exactly where it stopped: weights (F32; with full_bf16 BF16), their
 * average if one is kept, moments and the number of steps. All draws are functions of seed and
 * step, so there is no generator's state to keep.
 */
final class Checkpoint {
  private static final String LOSS_SCALE = "loss_scale";

  /** The name of the rule; absent in files that were written when there was one alone. */
  private static final String OPTIMIZER = "optimizer";

  /** How often the weights were averaged; absent where there is no average. */
  private static final String EMA_UPDATES = "ema_updates";

  /** What {@link BestLoss} said of itself. */
  private static final String BEST_LOSS = "best_validation_loss";

  /** Before the name of a setting among the file's metadata. */
  private static final String SETTING = "setting ";

  /** The setting that says which words train, in order, and how many vectors each has. */
  static final String WORDS = "words that train, with their vectors";

  /** Before the name of a tensor among the file's metadata; alone that of the metadata itself. */
  private static final String CHECKSUM = "crc32c ";

  private static final Set<DType> WEIGHTS = Set.of(DType.F32, DType.BF16);

  /**
   * What was read besides weights and moments.
   *
   * @param step how many were done
   * @param lossScale what {@link LossScale} said of itself; null if nothing
   * @param bestLoss what {@link BestLoss} said of itself; null if nothing
   * @param emaUpdates how often the weights were averaged; null if there are no averages
   * @param settings what the run was told that wrote it
   */
  record Restored(
      int step,
      @Nullable String lossScale,
      @Nullable String bestLoss,
      @Nullable Integer emaUpdates,
      Map<String, String> settings) {}

  private Checkpoint() {}

  static void write(
      Arena run,
      Path folder,
      int step,
      long seed,
      String lossScale,
      String bestLoss,
      @Nullable Ema ema,
      Map<String, String> settings,
      Optimizer optimizer,
      @Nullable WholeStates gathered) {
    List<OptimizerState> states = optimizer.states();
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("step", Integer.toString(step));
    metadata.put("seed", Long.toString(seed));
    metadata.put(LOSS_SCALE, lossScale);
    metadata.put(BEST_LOSS, bestLoss);
    metadata.put("layout", layout(states));
    metadata.put(OPTIMIZER, optimizer.rule().name());
    metadata.put("moments", moments(states));
    settings.forEach((name, value) -> metadata.put(SETTING + name, value));
    Map<String, Tensor> tensors = tensors(states, whole(optimizer, gathered));
    if (ema != null) {
      metadata.put(EMA_UPDATES, Integer.toString(ema.updates()));
      tensors.putAll(averages(states));
    }
    tensors.forEach((name, tensor) -> metadata.put(CHECKSUM + name, Checksum.of(tensor)));
    SafetensorsWriter writer = new SafetensorsWriter();
    metadata.forEach(writer::metadata);
    writer.metadata(CHECKSUM, Checksum.of(metadata));
    tensors.forEach(writer::add);
    writer.write(run, CheckpointFolder.file(folder));
    requireAsWritten(folder);
  }

  private static List<Map<StateTensor, Tensor>> whole(
      Optimizer optimizer, @Nullable WholeStates gathered) {
    if (gathered != null) {
      return gathered.all();
    }
    if (optimizer.shards().areCut()) {
      throw new Problem(
          Problem.Kind.FAILED,
          "with shard_optimizer each rank has a part of what a checkpoint needs, and not all ranks are there to save it");
    }
    return optimizer.states().stream().map(OptimizerState::tensors).toList();
  }

  /** Reads back what was written: a disk that fails does so in silence. */
  private static void requireAsWritten(Path folder) {
    Path path = CheckpointFolder.file(folder);
    try (Safetensors file = Safetensors.open(path)) {
      requireWhole(path, file.metadata());
      for (String name : file.tensors().keySet()) {
        if (!file.checksum(name).equals(file.metadata().get(CHECKSUM + name))) {
          throw damaged(path, "the numbers of " + name);
        }
      }
    } catch (Problem e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "%s: what was written is not what is read back, and %s: have the disk and the memory of this machine checked."
              .formatted(path, deleted(folder)),
          e);
    }
  }

  private static String deleted(Path folder) {
    try {
      CheckpointFolder.delete(folder);
      return "is deleted";
    } catch (Problem e) {
      return "must be deleted by you, because " + e.getMessage();
    }
  }

  /**
   * Restores in place; the averages where the file and the parameters have them.
   *
   * @param words the run's {@link #WORDS}; empty where none train
   */
  static Restored read(Path folder, long seed, String words, Optimizer optimizer) {
    List<OptimizerState> states = optimizer.states();
    Path path = CheckpointFolder.file(folder);
    CheckpointFolder.requireComplete(folder);
    try (Safetensors file = open(path)) {
      Map<String, String> metadata = file.metadata();
      if (!metadata.containsKey("layout")) {
        throw Problem.data(
            path + ": expected a checkpoint's state, found tensors of something else");
      }
      requireWhole(path, metadata);
      requireWords(path, metadata.get(SETTING + WORDS), words);
      expect(
          path,
          layout(states).equals(metadata.get("layout")),
          "its weights are not those that this run trains: the base model, train_unet,"
              + " train_text_encoder, placeholder_token, num_vectors, use_lora, lora_kind,"
              + " lora_targets or a rank was different");
      String rule = optimizer.rule().name();
      String wrote = metadata.getOrDefault(OPTIMIZER, UpdateRules.DEFAULT);
      expect(
          path,
          rule.equals(wrote),
          "its optimizer is %s, this run's %s, and the optimizer states of the one are of no use to the other"
              .formatted(wrote, rule));
      expect(
          path,
          moments(states).equals(metadata.get("moments")),
          "its moments are %s, this run's %s: use_8bit_adam was set otherwise"
              .formatted(metadata.get("moments"), moments(states)));
      expect(
          path,
          Long.toString(seed).equals(metadata.get("seed")),
          "its seed is %s, this run's %s".formatted(metadata.get("seed"), seed));
      for (int i = 0; i < states.size(); i++) {
        read(file, i, states.get(i));
      }
      String ema = file.metadata().get(EMA_UPDATES);
      if (ema != null) {
        averages(states).forEach((name, tensor) -> read(file, name, tensor));
      }
      states.forEach(state -> state.parameters().copyMasters());
      return new Restored(
          number(path, "step", file.metadata().get("step")),
          file.metadata().get(LOSS_SCALE),
          file.metadata().get(BEST_LOSS),
          ema == null ? null : number(path, EMA_UPDATES, ema),
          settings(metadata));
    }
  }

  /** What the run was told that wrote it; nothing else of it is read. */
  static Map<String, String> settings(Path folder) {
    CheckpointFolder.requireComplete(folder);
    Path path = CheckpointFolder.file(folder);
    try (Safetensors file = open(path)) {
      requireWhole(path, file.metadata());
      return settings(file.metadata());
    }
  }

  private static Map<String, String> settings(Map<String, String> metadata) {
    Map<String, String> settings = new LinkedHashMap<>();
    metadata.forEach(
        (name, value) -> {
          if (name.startsWith(SETTING)) {
            settings.put(name.substring(SETTING.length()), value);
          }
        });
    return settings;
  }

  /** The vectors of one word lie where another's would: only the names tell them apart. */
  private static void requireWords(Path path, @Nullable String then, String now) {
    expect(
        path,
        then == null || then.equals(now),
        "it has learnt the words %s, and this run trains %s (in brackets, how many vectors each has): set placeholder_token and num_vectors as they were, or start a new run"
            .formatted(then, now.isEmpty() ? "none" : now));
  }

  /**
   * Fills a tensor. Weights of full_bf16 and others are read as each other; of any other type
   * numbers would be taken for what they are not.
   */
  private static void read(Safetensors file, String name, Tensor tensor) {
    TensorInfo info = file.tensors().get(name);
    boolean same = info != null && info.dtype() == tensor.dtype();
    boolean wider =
        info != null && WEIGHTS.contains(info.dtype()) && WEIGHTS.contains(tensor.dtype());
    if (info == null || info.count() != tensor.count() || !(same || wider)) {
      throw misfit(file, name, tensor.count(), tensor.dtype());
    }
    if (same) {
      file.readInto(tensor, name);
      requireSum(file, name, tensor);
      return;
    }
    try (Arena scratch = tensor.arena().child("read " + name)) {
      Tensor stored = file.read(scratch, name);
      requireSum(file, name, stored);
      tensor.copyFrom(stored);
    }
  }

  /** Restores a group's weights and, of what is remembered, what this process has. */
  private static void read(Safetensors file, int group, OptimizerState state) {
    read(file, group + ".weights", state.parameters().masters());
    state
        .tensors()
        .forEach(
            (what, tensor) -> {
              String name = group + "." + what.name();
              if (tensor.count() == state.count(what)) {
                read(file, name, tensor);
              } else {
                readPart(file, name, state, what, tensor);
              }
            });
  }

  private static void readPart(
      Safetensors file, String name, OptimizerState state, StateTensor what, Tensor part) {
    TensorInfo info = file.tensors().get(name);
    if (info == null || info.count() != state.count(what) || info.dtype() != what.dtype()) {
      throw misfit(file, name, state.count(what), what.dtype());
    }
    Map<String, String> metadata = file.metadata();
    if (hasSums(metadata) && !file.checksum(name).equals(metadata.get(CHECKSUM + name))) {
      throw damaged(file.path(), "the numbers of " + name);
    }
    file.readPart(part, name, state.first(what));
  }

  private static Problem misfit(Safetensors file, String name, long count, DType dtype) {
    return Problem.data(
        "%s: expected a tensor %s of %d numbers in %s, found %s"
            .formatted(file.path(), name, count, dtype, file.tensors().get(name)));
  }

  private static void requireSum(Safetensors file, String name, Tensor stored) {
    Map<String, String> metadata = file.metadata();
    if (hasSums(metadata) && !Checksum.of(stored).equals(metadata.get(CHECKSUM + name))) {
      throw damaged(file.path(), "the numbers of " + name);
    }
  }

  /** Those of earlier versions have none. */
  private static boolean hasSums(Map<String, String> metadata) {
    return metadata.keySet().stream().anyMatch(name -> name.startsWith(CHECKSUM));
  }

  private static void requireWhole(Path path, Map<String, String> metadata) {
    Map<String, String> others = new TreeMap<>(metadata);
    others.remove("format");
    String sum = others.remove(CHECKSUM);
    if (hasSums(metadata) && !Checksum.of(others).equals(sum)) {
      throw damaged(path, "its header");
    }
  }

  private static Problem damaged(Path path, String what) {
    return Problem.data(
        "%s is damaged: the checksum of %s has changed since it was written. %s"
            .formatted(path, what, wayOut(path)));
  }

  private static Safetensors open(Path path) {
    try {
      return Safetensors.open(path);
    } catch (Problem e) {
      throw new Problem(e.kind(), "%s. %s".formatted(e.getMessage(), wayOut(path)), e);
    }
  }

  private static String wayOut(Path file) {
    Path before = CheckpointFolder.before(file.resolveSibling(""));
    return before == null
        ? "There is no earlier checkpoint: leave out resume_from_checkpoint to start a new run."
        : "An earlier checkpoint is there: continue with --resume_from_checkpoint %s."
            .formatted(before);
  }

  private static int number(Path path, String name, @Nullable String text) {
    if (text == null || !text.matches("\\d{1,9}")) {
      throw Problem.data(
          "%s: expected a whole number as its %s, found %s".formatted(path, name, text));
    }
    return Integer.parseInt(text);
  }

  private static void expect(Path path, boolean fits, String otherwise) {
    if (!fits) {
      throw Problem.data(
          "%s: %s. Resume with the configuration that wrote it.".formatted(path, otherwise));
    }
  }

  private static Map<String, Tensor> tensors(
      List<OptimizerState> states, List<Map<StateTensor, Tensor>> remembered) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (int i = 0; i < states.size(); i++) {
      tensors.put(i + ".weights", states.get(i).parameters().masters());
      String prefix = i + ".";
      remembered.get(i).forEach((what, tensor) -> tensors.put(prefix + what.name(), tensor));
    }
    return tensors;
  }

  private static Map<String, Tensor> averages(List<OptimizerState> states) {
    Map<String, Tensor> averages = new LinkedHashMap<>();
    for (int i = 0; i < states.size(); i++) {
      Tensor average = states.get(i).parameters().average();
      if (average != null) {
        averages.put(i + ".average", average);
      }
    }
    return averages;
  }

  /** What the optimizer remembers and in what types: 8 bits cannot be read as 32. */
  private static String moments(List<OptimizerState> states) {
    return states.stream()
        .flatMap(state -> state.tensors().keySet().stream())
        .sorted(Comparator.comparing(StateTensor::name))
        .map(each -> each.name() + " " + each.dtype())
        .distinct()
        .collect(Collectors.joining(", "));
  }

  /** A digest of all names and shapes: the flat buffers mean the same only where it is the same. */
  private static String layout(List<OptimizerState> states) {
    MessageDigest digest = Sha256.digest();
    for (OptimizerState state : states) {
      for (Parameter each : state.parameters().all()) {
        digest.update(each.toString().getBytes(StandardCharsets.UTF_8));
      }
    }
    return HexFormat.of().formatHex(digest.digest(), 0, 8);
  }
}
