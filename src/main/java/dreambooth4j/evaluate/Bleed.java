package dreambooth4j.evaluate;

import dreambooth4j.Problem;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Pixels;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.PictureFeatures;
import dreambooth4j.pipeline.PictureMemory;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.VisionFolder;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What a training changed in a model: both models are asked the same prompts, at the same noise and
 * timesteps, and draw the same pictures. One model at a time is in memory; noisy latents lie on the
 * base model's own way from noise to a picture of each prompt, so that both are asked what they
 * would be asked in drawing.
 */
public final class Bleed {
  private final ModelSource base;
  private final ModelSource trained;
  private final TextEncoding encoding;
  private final BleedOptions how;
  private final IntConsumer progress;
  private int done;

  /**
   * A measurement that has not begun.
   *
   * @param encoding how prompts are read, by both
   * @param progress is told how many prompts have been asked so far, of {@link #asked}
   * @throws Problem if one predicts the noise and the other velocity
   */
  public Bleed(
      ModelSource base,
      ModelSource trained,
      TextEncoding encoding,
      BleedOptions how,
      IntConsumer progress) {
    this.base = base;
    this.trained = trained;
    this.encoding = encoding;
    this.how = how;
    this.progress = progress;
    if (prediction(base) != prediction(trained) || base.pipeline() != trained.pipeline()) {
      throw Problem.data(
          "%s and %s cannot be compared: they are of two kinds, or one predicts the noise and the other velocity. Give the base model that was trained."
              .formatted(base.path(), trained.path()));
    }
  }

  private static Enum<?> prediction(ModelSource of) {
    return NoiseSchedule.of(SchedulerConfig.of(of.config(Component.SCHEDULER))).prediction();
  }

  /** How often {@link #measure} asks a model about one of so many prompts. */
  public static int asked(int probes, BleedOptions how) {
    int asks = how.pictures() == 0 ? 2 : how.features() == null ? 3 : 4;
    return asks * probes;
  }

  /**
   * The bytes that {@link #measure} holds at its peak: one model, and what it is asked, found in a
   * dry run; and in Java what was said and drawn of all prompts.
   *
   * @param probes how many prompts at most
   */
  public long memory(int probes) {
    try (Arena dry = Arena.open("bleed", OpBackend.dry(how.device()));
        StableDiffusion model = StableDiffusion.load(dry, base)) {
      Bucket size = new Asked(dry, model, encoding, how).size();
      PictureMemory memory = new PictureMemory(dry, model, encoding);
      long peak = memory.predicting(size, how.seeds());
      if (how.pictures() > 0) {
        peak = Math.max(peak, memory.drawing(size, how.pictures(), how.guidance() > 1));
        peak = Math.max(peak, memory.encoding(size));
      }
      long pixels = (long) size.width() * size.height();
      int factor = model.vae().config().factor();
      long latents = pixels / factor / factor * model.unet().config().inChannels() * Float.BYTES;
      // asked, and answered by the base model
      long said = 2L * how.seeds() * how.timesteps() * latents;
      long drawn = 2L * how.pictures() * pixels * Pixels.CHANNELS;
      long held = dry.meter().liveBytes() + peak;
      VisionFolder features = how.features();
      if (features != null && how.pictures() > 0) {
        held = Math.max(held, features.memory(how.device()));
      }
      return held + probes * (said + drawn);
    }
  }

  /**
   * What is lacking where {@link #measure} needs more memory than there is, in words: Linux would
   * kill the process in the midst of it. Null where it fits, and on CUDA, where the device refuses.
   *
   * @param needed bytes by {@link #memory}
   */
  public @Nullable String lackOfRoom(long needed) {
    long available = ProcessMemory.available();
    boolean fits =
        how.device() != Device.CPU
            || needed <= ProcessMemory.limit(available).orElse(Long.MAX_VALUE);
    return fits
        ? null
        : "it needs %s of memory by a plan, and %s are available"
            .formatted(ProcessMemory.shown(needed), ProcessMemory.shown(available));
  }

  /** One prompt, and what the base model says of it. */
  private static final class Case {
    final Probe probe;
    final List<Asked.Point> points = new ArrayList<>();
    final Drift drift;
    List<Pixels> before = List.of();
    List<Pixels> after = List.of();
    List<float[]> featuresBefore = List.of();
    List<float[]> featuresAfter = List.of();
    List<float[]> seenBefore = List.of();
    List<float[]> seenAfter = List.of();

    Case(Probe probe, int seeds) {
      this.probe = probe;
      drift = new Drift(seeds);
    }
  }

  /**
   * Measures.
   *
   * @param finder says what is asked, by the base model in memory; one of kind SUBJECT among it
   * @param instances reads pictures of the subject, at this size; may be none
   */
  public BleedResult measure(
      Function<StableDiffusion, List<Probe>> finder, Function<Bucket, List<Pixels>> instances) {
    List<Case> cases = new ArrayList<>();
    List<float[]> real = new ArrayList<>();
    List<Pixels> photographs = new ArrayList<>();
    with(
        base,
        (model, asked) -> {
          finder.apply(model).forEach(each -> cases.add(new Case(each, how.seeds())));
          for (Case each : cases) {
            askBase(asked, each);
          }
          if (how.pictures() > 0) {
            photographs.addAll(instances.apply(asked.size()));
            real.addAll(asked.features(photographs));
          }
        });
    Case subject =
        cases.stream()
            .filter(each -> each.probe.kind() == Probe.Kind.SUBJECT)
            .findFirst()
            .orElseThrow(() -> new IllegalArgumentException("no prompt names the subject"));
    with(trained, (model, asked) -> cases.forEach(each -> askTrained(asked, each, subject)));
    if (how.pictures() > 0) {
      with(
          base,
          (model, asked) ->
              cases.forEach(
                  each -> {
                    if (how.draws(each.probe)) {
                      each.featuresAfter = asked.features(each.after);
                    }
                    progress.accept(++done);
                  }));
    }
    return result(cases, subject, real, seen(cases, photographs));
  }

  /** Has another model look at all pictures; what it says of the photographs. */
  private List<float[]> seen(List<Case> cases, List<Pixels> photographs) {
    VisionFolder features = how.features();
    if (features == null || how.pictures() == 0) {
      return List.of();
    }
    try (Arena arena = Devices.open("features", how.device())) {
      PictureFeatures model = features.load(arena);
      for (Case each : cases) {
        each.seenBefore = each.before.stream().map(model::of).toList();
        each.seenAfter = each.after.stream().map(model::of).toList();
        progress.accept(++done);
      }
      return photographs.stream().map(model::of).toList();
    }
  }

  private interface Use {
    void of(StableDiffusion model, Asked asked);
  }

  private void with(ModelSource source, Use use) {
    try (Arena arena = Devices.open("bleed", how.device());
        StableDiffusion model = StableDiffusion.load(arena, source)) {
      use.of(model, new Asked(arena, model, encoding, how));
    }
  }

  private void askBase(Asked asked, Case of) {
    of.points.addAll(asked.path(of.probe.prompt()));
    if (how.draws(of.probe)) {
      of.before = asked.draw(of.probe.prompt());
      of.featuresBefore = asked.features(of.before);
    }
    progress.accept(++done);
  }

  private void askTrained(Asked asked, Case of, Case subject) {
    for (Asked.Point point : of.points) {
      float[] answer = asked.predict(of.probe.prompt(), point);
      float[] ofSubject = of == subject ? answer : asked.predict(subject.probe.prompt(), point);
      of.drift.add(point.answer(), answer, ofSubject);
    }
    if (how.draws(of.probe)) {
      of.after = asked.draw(of.probe.prompt());
    }
    progress.accept(++done);
  }

  private BleedResult result(
      List<Case> cases, Case subject, List<float[]> real, List<float[]> seen) {
    List<BleedResult.Row> rows = new ArrayList<>();
    for (Case each : cases) {
      rows.add(
          new BleedResult.Row(
              each.probe,
              each.drift.bleed(),
              each.drift.towards(),
              each.drift.moved(subject.drift),
              each.drift.change(),
              how.draws(each.probe) ? drawn(each, subject) : null));
    }
    BleedResult.Presence presence =
        cases.stream()
            .filter(each -> each.probe.kind() == Probe.Kind.CLASS && !real.isEmpty())
            .filter(each -> how.draws(each.probe))
            .findFirst()
            .map(
                each ->
                    new BleedResult.Presence(
                        Likenesses.likeness(each.featuresBefore, real),
                        Likenesses.likeness(each.featuresAfter, real),
                        seen.isEmpty() ? null : Likenesses.likeness(each.seenBefore, seen),
                        seen.isEmpty() ? null : Likenesses.likeness(each.seenAfter, seen)))
            .orElse(null);
    return new BleedResult(
        rows, how.seeds(), subject.points.stream().map(Asked.Point::timestep).toList(), presence);
  }

  private static BleedResult.Drawn drawn(Case of, Case subject) {
    return new BleedResult.Drawn(
        of.before,
        of.after,
        Likenesses.towards(of.featuresBefore, of.featuresAfter, subject.featuresAfter),
        Likenesses.variety(of.featuresBefore),
        Likenesses.variety(of.featuresAfter),
        of.seenBefore.isEmpty()
            ? null
            : new BleedResult.Seen(
                Likenesses.towards(of.seenBefore, of.seenAfter, subject.seenAfter),
                Likenesses.variety(of.seenBefore),
                Likenesses.variety(of.seenAfter)));
  }
}
