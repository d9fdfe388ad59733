package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.Picture;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.LongPrompts;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.prior.ClassImageGenerator;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.ModelWriter;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;

/**
 * A whole run: scan, class images, training with samples and checkpoints, and the trained model at
 * the end, or where it was interrupted, or before it diverged.
 */
public final class TrainingRun {
  /** Is told what happens, on the training thread. */
  public interface Listener
      extends Trainer.Listener, ClassImageGenerator.Listener, Caches.Listener {
    /** What will be trained, after the pictures were looked through. */
    void planned(Config config, List<Concept> concepts, ClassImagePlan plan);

    /** All is in memory; training begins after {@code trainer.done()} steps. */
    void ready(Trainer trainer, Arena run);

    /** So many samples are about to be drawn, which can take a while. */
    void sampling(int step, int pictures);

    /** Samples were drawn after so many steps. */
    void sampled(int step, List<SamplePictures.Sample> samples);

    /** A model folder or a checkpoint is complete on disk. */
    void saved(Path path, int step);

    /** Something to know that stops nothing. */
    void warning(String message);
  }

  private final Config config;
  private final Listener listener;
  private final BooleanSupplier stop;
  private final Path output;

  /** {@code stop} is looked at after each step; true saves what was learnt and ends the run. */
  public TrainingRun(Config config, Listener listener, BooleanSupplier stop) {
    this.config = config;
    this.listener = listener;
    this.stop = stop;
    this.output = config.output().outputDir();
  }

  /**
   * Runs.
   *
   * @return whether it came to its end, rather than being stopped
   * @throws Problem when something the user can mend is wrong, or training diverged
   */
  public boolean run() {
    List<Concept> concepts = Concept.scanAll(config);
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
    listener.planned(config, concepts, plan);
    ModelFolder base = ModelFolder.find(config.model().required(), config.model().variant());
    requireOtherFolder(base);
    Checkpoints checkpoints = new Checkpoints(config.output());
    Path resumed = checkpoints.toResume();
    requireReadable(concepts);
    makeOutput();
    try (Arena run = Arena.open("run");
        StableDiffusion model =
            StableDiffusion.load(run, base, true, config.training().trainTextEncoder())) {
      writeConfig();
      LongPrompts.of(model.tokenizer(), config, concepts, plan.pools())
          .notes("max_token_length: ", 5)
          .forEach(listener::warning);
      if (plan.missing() > 0) {
        new ClassImageGenerator(config, base, model).generate(run, plan, listener, stop);
        plan = ClassImagePlan.of(config, concepts);
      }
      if (stop.getAsBoolean()) {
        return false;
      }
      List<Picture> pictures = concepts.stream().flatMap(c -> c.pictures().stream()).toList();
      Trainer trainer =
          new Trainer(
              run,
              config,
              model,
              new PairSampler(
                  pictures,
                  plan.pools(),
                  config.training().trainBatchSize(),
                  config.data().buckets().remainder(),
                  config.training().seed()),
              new Caches(run, config, base, model, listener::warning));
      if (resumed != null) {
        trainer.resume(resumed);
      }
      trainer.fillCaches(listener, stop);
      if (stop.getAsBoolean()) {
        return false;
      }
      listener.ready(trainer, run);
      train(run, trainer, new SamplePictures(config, model, concepts), base, model, checkpoints);
      return trainer.done() == trainer.steps();
    }
  }

  private void train(
      Arena run,
      Trainer trainer,
      SamplePictures samples,
      ModelFolder base,
      StableDiffusion model,
      Checkpoints checkpoints) {
    int sampleEvery =
        interval(config.samples().validationSteps(), config.samples().savePreviewEvery(), trainer);
    int saveEvery =
        interval(
            config.output().checkpointingSteps(), config.output().saveEmbeddingEvery(), trainer);
    if (trainer.done() == 0) {
      sample(run, samples, 0);
    }
    int begun = trainer.done();
    int sampled = begun;
    try {
      while (trainer.done() < trainer.steps() && !stop.getAsBoolean()) {
        int next = Math.min(after(trainer.done(), sampleEvery), after(trainer.done(), saveEvery));
        trainer.train(next, listener, stop);
        int done = trainer.done();
        if (done == trainer.steps() || stop.getAsBoolean()) {
          break;
        }
        if (done % saveEvery == 0) {
          listener.saved(checkpoints.save(trainer), done);
        }
        if (done % sampleEvery == 0) {
          sample(run, samples, done);
          sampled = done;
        }
      }
    } catch (Problem e) {
      if (e.kind() == Problem.Kind.DIVERGED && trainer.done() > begun) {
        keepLastGood(run, trainer, base, model);
      }
      throw e;
    }
    if (trainer.done() < trainer.steps()) {
      if (trainer.done() == begun) {
        return; // stopped before anything was learnt: a model that lies there is worth more
      }
      listener.saved(checkpoints.save(trainer), trainer.done());
    }
    saveModel(run, trainer, base, model);
    if (trainer.done() == trainer.steps() && sampled < trainer.done()) {
      sample(run, samples, trainer.done());
    }
  }

  private static int interval(int steps, int epochs, Trainer trainer) {
    long wanted = steps > 0 ? steps : (long) epochs * trainer.stepsPerEpoch();
    return wanted == 0 ? Integer.MAX_VALUE : (int) Math.min(Integer.MAX_VALUE, wanted);
  }

  private static int after(int done, int every) {
    long next = ((long) done / every + 1) * every;
    return (int) Math.min(Integer.MAX_VALUE, next);
  }

  private void sample(Arena run, SamplePictures samples, int step) {
    if (samples.count() == 0) {
      return;
    }
    listener.sampling(step, samples.count());
    try {
      listener.sampled(step, samples.draw(run, stop));
    } catch (CancellationException e) {
      return; // in a hurry: what was learnt is saved, pictures can be drawn of it
    } catch (Problem | IllegalStateException e) {
      listener.warning("no samples after step " + step + ": " + e.getMessage());
    }
  }

  private void saveModel(Arena run, Trainer trainer, ModelFolder base, StableDiffusion model) {
    ModelWriter writer = new ModelWriter(base).with(Component.UNET, model.unetParameters());
    if (config.training().trainTextEncoder()) {
      writer.with(Component.TEXT_ENCODER, model.textParameters());
    }
    writer.write(run, output);
    listener.saved(output, trainer.done());
  }

  /**
   * The weights are those before the step that failed. Finite as they are, they may be on their way
   * out: they never take the place of a model that was there before.
   */
  private void keepLastGood(Arena run, Trainer trainer, ModelFolder base, StableDiffusion model) {
    if (Files.exists(output.resolve("model_index.json"))) {
      listener.warning("nothing is written: the model in " + output + " stays as it was");
    } else if (model.firstBadWeight() != null) {
      listener.warning("nothing is written: the weights hold numbers that are not finite");
    } else {
      saveModel(run, trainer, base, model);
      listener.warning(
          "saved are the weights before step %d; those of an earlier checkpoint may be better"
              .formatted(trainer.done() + 1));
    }
  }

  /** A damaged picture is found here, not after hours of class images. */
  private static void requireReadable(List<Concept> concepts) {
    concepts.stream()
        .flatMap(concept -> concept.pictures().stream())
        .parallel()
        .forEach(picture -> ImageReader.read(picture.file(), picture.bucket()));
  }

  private void requireOtherFolder(ModelFolder base) {
    try {
      if (Files.exists(output) && Files.isSameFile(output, base.path())) {
        throw Problem.usage(
            "output_dir is the base model's own folder, %s: it would be overwritten. Give another output_dir."
                .formatted(output));
      }
    } catch (IOException e) {
      throw Problem.data(output + " cannot be read: " + Problem.why(e));
    }
  }

  /** Before hours of work are spent on what cannot be kept. */
  private void makeOutput() {
    try {
      Files.createDirectories(output);
      if (!Files.isWritable(output)) {
        throw new AccessDeniedException(output.toString());
      }
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "output_dir %s cannot be written: %s. Give another output_dir."
              .formatted(output, Problem.why(e)),
          e);
    }
  }

  private void writeConfig() {
    try (StagedFiles files = new StagedFiles()) {
      files.add(
          output.resolve(ConfigWriter.FILE),
          ConfigWriter.toYaml(config).getBytes(StandardCharsets.UTF_8));
      files.commit();
    }
  }
}
