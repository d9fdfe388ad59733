package dreambooth4j.config;

/**
 * Sample pictures of a concept.
 *
 * @param count pictures each time
 * @param prompt their prompt; empty takes an instance prompt
 * @param negativePrompt what samples are drawn away from
 * @param guidanceScale their guidance
 * @param inferSteps their sampler steps
 * @param seed their seed; negative derives one from the run's seed
 */
public record ConceptSamplesConfig(
    int count,
    String prompt,
    String negativePrompt,
    double guidanceScale,
    int inferSteps,
    long seed) {
  static final Section<ConceptSamplesConfig> KEYS = new Section<>(Key.Group.SAMPLES);

  static final Key<ConceptSamplesConfig, Integer> COUNT =
      KEYS.key("n_save_sample", ValueType.whole(0, 1000), ConceptSamplesConfig::count)
          .standard(1)
          .unit("pictures")
          .help(
              "Number of sample pictures of each concept that are drawn each time (see"
                  + " validation_steps), which show what it has learnt.");
  static final Key<ConceptSamplesConfig, String> PROMPT =
      KEYS.key("save_sample_prompt", ValueType.text(), ConceptSamplesConfig::prompt)
          .standard("")
          .otherwise("the instance prompt of the first picture")
          .help("Prompt of a concept's sample pictures.");
  static final Key<ConceptSamplesConfig, String> NEGATIVE_PROMPT =
      KEYS.key(
              "save_sample_negative_prompt", ValueType.text(), ConceptSamplesConfig::negativePrompt)
          .standard("")
          .help("Negative prompt of a concept's sample pictures: what they should not show.");
  static final Key<ConceptSamplesConfig, Double> GUIDANCE_SCALE =
      KEYS.key("save_guidance_scale", ValueType.upTo(1000), ConceptSamplesConfig::guidanceScale)
          .standard(7.5)
          .help(
              "How closely a concept's sample pictures follow their prompt (classifier-free"
                  + " guidance scale): 1 is no guidance, 5 to 10 is usual.");
  static final Key<ConceptSamplesConfig, Integer> INFER_STEPS =
      KEYS.key(
              "save_infer_steps",
              ValueType.whole(1, Samplers.MOST_STEPS),
              ConceptSamplesConfig::inferSteps)
          .standard(20)
          .unit("steps")
          .help(
              "Number of sampler steps for each sample picture of a concept: fewer are faster and"
                  + " give less detail.");
  static final Key<ConceptSamplesConfig, Long> SEED =
      KEYS.key("sample_seed", ValueType.seed(), ConceptSamplesConfig::seed)
          .standard(-1L)
          .help(
              "Seed of a concept's sample pictures, the same each time so that they can be"
                  + " compared; -1 derives one from seed.");

  static ConceptSamplesConfig of(Values values) {
    return new ConceptSamplesConfig(
        values.get(COUNT),
        values.get(PROMPT),
        values.get(NEGATIVE_PROMPT),
        values.get(GUIDANCE_SCALE),
        values.get(INFER_STEPS),
        values.get(SEED));
  }
}
