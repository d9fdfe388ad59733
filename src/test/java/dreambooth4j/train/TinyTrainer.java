package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.Picture;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Shards;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.prior.PriorPools;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelFolder;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/** A trainer of a {@link TinyRun} with its model in memory, and what it reported so far. */
final class TinyTrainer implements AutoCloseable {
  /** Hears nothing of what is encoded. */
  static final Caches.Listener NOBODY =
      new Caches.Listener() {
        @Override
        public void cached(String what, int there, int all, Path folder) {}

        @Override
        public void encoded(String what, int done, int missing) {}
      };

  final Arena run;
  final Config config;
  final StableDiffusion model;
  final PairSampler pairs;
  final Caches caches;
  final Trainer trainer;
  final List<String> notes = new ArrayList<>();
  final List<Trainer.StepReport> reports = new ArrayList<>();

  TinyTrainer(TinyRun tiny) {
    this(tiny, Arena.open("run"));
  }

  /** {@code run} is closed with it. */
  TinyTrainer(TinyRun tiny, Arena run) {
    this.run = run;
    config = tiny.config();
    List<Concept> concepts = Concept.scanAll(config);
    List<Picture> pictures = concepts.stream().flatMap(c -> c.pictures().stream()).toList();
    pairs =
        new PairSampler(
            pictures,
            PriorPools.of(config, concepts, ClassImagePlan.of(config, concepts)),
            config.training().trainBatchSize(),
            config.training().seed());
    ModelFolder base = ModelFolder.open(Path.of(config.model().required()), null);
    model = ModelToTrain.load(run, base, config);
    caches = new Caches(run, config, base, model, notes::add);
    trainer = new Trainer(run, config, model, pairs, caches);
    trainer.askBaseModel(NOBODY, () -> false);
  }

  /** Trains to the end. */
  TinyTrainer train() {
    return train(Integer.MAX_VALUE);
  }

  /** Trains until so many steps are done. */
  TinyTrainer train(int until) {
    trainer.train(until, reports::add, () -> false);
    return this;
  }

  /** A run that is stopped after so many steps and goes on has the state of one that is not. */
  static void goesOnBitForBit(TinyRun tiny, Path folder, int stopped) {
    Path checkpoint = folder.resolve("checkpoint-" + stopped);
    try (TinyTrainer whole = new TinyTrainer(tiny).train();
        TinyTrainer first = new TinyTrainer(tiny).train(stopped);
        TinyTrainer second = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
      assertThat(second.trainer.resume(checkpoint)).isEmpty();
      second.train().hasTheStateOf(whole, folder);
    }
  }

  /** Their checkpoints, which are written to the folder for this, have the same bytes. */
  void hasTheStateOf(TinyTrainer whole, Path folder) {
    whole.trainer.save(folder.resolve("whole"));
    trainer.save(folder.resolve("second"));
    assertThat(folder.resolve("second/training_state.safetensors"))
        .hasSameBinaryContentAs(folder.resolve("whole/training_state.safetensors"));
  }

  /** As the parts of a run share it, of which nobody hears. */
  Session session(Config told) {
    return session(told, warning -> {});
  }

  /** As the parts of a run share it, of which warnings are heard alone. */
  Session session(Config told, Consumer<String> warnings) {
    RunListener listener =
        (RunListener)
            Proxy.newProxyInstance(
                TinyTrainer.class.getClassLoader(),
                new Class<?>[] {RunListener.class},
                (proxy, method, arguments) -> {
                  if (method.getName().equals("warning")) {
                    warnings.accept((String) arguments[0]);
                  }
                  return null;
                });
    return new Session(told, listener, () -> false, run, model, trainer, Ranks.alone());
  }

  /** Writes a checkpoint of the beginning, of fp16 with this loss scale and without averages. */
  void saveWithScale(Path checkpoint, double scale) {
    save(checkpoint, "%a 0".formatted(scale), Map.of());
  }

  /** Writes a checkpoint of the beginning that was made with these settings. */
  void saveWith(Path checkpoint, Map<String, String> settings) {
    save(checkpoint, "none", settings);
  }

  private void save(Path checkpoint, String scale, Map<String, String> settings) {
    Optimizer fresh =
        Recipe.of(config).updating(run, Optimizer.Group.alike(trainer.trained()), Shards.NONE);
    Checkpoint.write(run, checkpoint, 0, 42, scale, "", null, settings, fresh, null);
  }

  /** The samples of its run, drawn with the weights as they are. */
  List<byte[]> drawn() {
    return drawn(config, model, run);
  }

  /** The samples of a run, drawn with another model. */
  static List<byte[]> drawn(Config config, StableDiffusion model, Arena run) {
    return new SamplePictures(config, model, Concept.scanAll(config))
        .draw(run, () -> false).stream()
            .flatMap(sample -> sample.pictures().stream())
            .map(picture -> picture.rgb().clone())
            .toList();
  }

  /** What each step said, but for its time. */
  List<Trainer.StepReport> timeless() {
    return reports.stream()
        .map(
            r ->
                new Trainer.StepReport(
                    r.step(),
                    r.epoch(),
                    r.losses(),
                    r.gradientNorm(),
                    r.learningRate(),
                    r.priorLossWeight(),
                    r.pictures(),
                    0,
                    r.lossScale()))
        .toList();
  }

  /** The UNet's weights by name, of LoRA its adapters'; copies. */
  Map<String, List<Float>> unet() {
    return values(learning(Component.UNET));
  }

  /** The text encoder's weights by name, of LoRA its adapters'; copies. */
  Map<String, List<Float>> text() {
    return values(learning(Component.TEXT_ENCODER));
  }

  /** The weights that a component's files hold, by name; copies. */
  Map<String, List<Float>> weights(Component component) {
    return values(model.parameters(component));
  }

  private Parameters learning(Component component) {
    return model.trained(component).stream()
        .map(Group::parameters)
        .findFirst()
        .orElseGet(() -> model.parameters(component));
  }

  private Map<String, List<Float>> values(Parameters parameters) {
    Map<String, List<Float>> values = new TreeMap<>();
    for (Parameter each : parameters.all()) {
      List<Float> list = new ArrayList<>();
      Tensor wide = run.allocate("wide", DType.F32, each.shape());
      wide.copyFrom(each.master());
      for (float value : wide.toFloats()) {
        list.add(value);
      }
      wide.release();
      values.put(each.name(), list);
    }
    return values;
  }

  @Override
  public void close() {
    trainer.close();
    model.close();
    run.close();
  }
}
