package dreambooth4j.config;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The keys that have an effect here: each section of the configuration declares its own. Names are
 * sd_dreambooth_extension's where it has one and diffusers' otherwise; the other's name is an
 * alias.
 */
public final class Keys {
  /** Where a section's record lies in a whole. */
  private record Place<S, R>(Function<S, R> at, Section<R> section) {
    void put(S subject, Map<Key<?, ?>, Object> values) {
      R own = at.apply(subject);
      for (Key<R, ?> key : section.keys()) {
        Object value = key.in(own);
        if (value != null) {
          values.put(key, value);
        }
      }
    }
  }

  private static final List<Place<Config, ?>> OF_RUN =
      List.of(
          new Place<>(Function.identity(), Config.KEYS),
          new Place<>(Config::model, ModelConfig.KEYS),
          new Place<>(Config::data, DataConfig.KEYS),
          new Place<>(config -> config.data().captions(), CaptionConfig.KEYS),
          new Place<>(config -> config.data().buckets(), BucketConfig.KEYS),
          new Place<>(Config::training, TrainingConfig.KEYS),
          new Place<>(Config::loss, LossConfig.KEYS),
          new Place<>(Config::noise, NoiseConfig.KEYS),
          new Place<>(Config::timesteps, TimestepConfig.KEYS),
          new Place<>(Config::optimizer, OptimizerConfig.KEYS),
          new Place<>(config -> config.optimizer().schedule(), LrConfig.KEYS),
          new Place<>(Config::lora, LoraConfig.KEYS),
          new Place<>(Config::embedding, EmbeddingConfig.KEYS),
          new Place<>(Config::ema, EmaConfig.KEYS),
          new Place<>(Config::anchor, AnchorConfig.KEYS),
          new Place<>(Config::compute, ComputeConfig.KEYS),
          new Place<>(Config::memory, MemoryConfig.KEYS),
          new Place<>(Config::prior, PriorConfig.KEYS),
          new Place<>(Config::samples, SamplesConfig.KEYS),
          new Place<>(Config::validation, ValidationConfig.KEYS),
          new Place<>(Config::output, OutputConfig.KEYS),
          new Place<>(Config::report, ReportConfig.KEYS));

  private static final List<Place<ConceptConfig, ?>> OF_CONCEPT =
      List.of(
          new Place<>(Function.identity(), ConceptConfig.KEYS),
          new Place<>(ConceptConfig::classImages, ClassImagesConfig.KEYS),
          new Place<>(ConceptConfig::samples, ConceptSamplesConfig.KEYS));

  private Keys() {}

  /**
   * All keys, in the order of {@code --help}: the subject comes first, and what is made for it
   * after what turns it on. Each works in a file and as a flag.
   */
  public static List<Key<?, ?>> all() {
    List<Place<ConceptConfig, ?>> subject = OF_CONCEPT.subList(0, 1);
    List<Place<ConceptConfig, ?>> made = OF_CONCEPT.subList(1, OF_CONCEPT.size());
    return Stream.of(keys(subject), keys(OF_RUN), keys(made)).flatMap(each -> each).toList();
  }

  /** The keys of a whole run. */
  static List<Key<?, ?>> ofRun() {
    return keys(OF_RUN).toList();
  }

  /**
   * The keys of one concept. They stand in an entry of {@code concepts_list}, or at the top level,
   * where they hold for every concept.
   */
  static List<Key<?, ?>> ofConcept() {
    return keys(OF_CONCEPT).toList();
  }

  /** The values of the run's keys in a configuration, those without a value left out. */
  static Map<Key<?, ?>, Object> valuesOf(Config config) {
    return values(OF_RUN, config);
  }

  /** The values of a concept's keys, those without a value left out. */
  static Map<Key<?, ?>, Object> valuesOf(ConceptConfig concept) {
    return values(OF_CONCEPT, concept);
  }

  private static <S> Map<Key<?, ?>, Object> values(List<Place<S, ?>> places, S subject) {
    Map<Key<?, ?>, Object> values = new LinkedHashMap<>();
    places.forEach(place -> place.put(subject, values));
    return values;
  }

  private static <S> Stream<Key<?, ?>> keys(List<Place<S, ?>> places) {
    return places.stream().flatMap(place -> place.section().keys().stream());
  }
}
