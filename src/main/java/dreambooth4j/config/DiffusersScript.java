package dreambooth4j.config;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The command line of diffusers' train_dreambooth.py, which is taken as it is. */
final class DiffusersScript {
  /** Its flags (diffusers 0.36). */
  static final Set<String> FLAGS =
      Set.of(
          ("pretrained_model_name_or_path revision variant tokenizer_name instance_data_dir"
                  + " class_data_dir instance_prompt class_prompt with_prior_preservation"
                  + " prior_loss_weight num_class_images output_dir seed resolution center_crop"
                  + " train_text_encoder train_batch_size sample_batch_size num_train_epochs"
                  + " max_train_steps checkpointing_steps checkpoints_total_limit"
                  + " resume_from_checkpoint gradient_accumulation_steps gradient_checkpointing"
                  + " learning_rate scale_lr lr_scheduler lr_warmup_steps lr_num_cycles lr_power"
                  + " use_8bit_adam dataloader_num_workers adam_beta1 adam_beta2"
                  + " adam_weight_decay adam_epsilon max_grad_norm push_to_hub hub_token"
                  + " hub_model_id logging_dir allow_tf32 report_to validation_prompt"
                  + " num_validation_images validation_steps mixed_precision"
                  + " prior_generation_precision local_rank"
                  + " enable_xformers_memory_efficient_attention set_grads_to_none offset_noise"
                  + " snr_gamma pre_compute_text_embeddings tokenizer_max_length"
                  + " text_encoder_use_attention_mask skip_save_text_encoder validation_images"
                  + " class_labels_conditioning validation_scheduler")
              .split(" "));

  private DiffusersScript() {}

  /**
   * One line with the keys that were left out and have another default there, of those that change
   * what this run trains; empty if there are none.
   *
   * @param ours the configuration with our defaults
   * @param theirs the same with diffusers' defaults
   */
  static String leftOut(Config ours, Config theirs) {
    Map<Key<?, ?>, Object> here = values(ours);
    Map<Key<?, ?>, Object> there = values(theirs);
    List<String> differences = new ArrayList<>();
    for (Key<?, ?> key : Keys.all()) {
      Object value = there.get(key);
      if (value != null && !value.equals(here.get(key)) && matters(key, ours, theirs)) {
        Object own = here.get(key);
        differences.add(
            "%s %s (there %s)"
                .formatted(
                    key.name(),
                    own == null ? key.defaultInWords() : key.inWords(own),
                    key.inWords(value)));
      }
    }
    return differences.isEmpty()
        ? ""
        : "left out, so that other defaults hold than in diffusers' train_dreambooth.py: %s; --defaults diffusers takes those"
            .formatted(String.join(", ", differences));
  }

  private static Map<Key<?, ?>, Object> values(Config config) {
    Map<Key<?, ?>, Object> values = new HashMap<>(Keys.valuesOf(config));
    config.concepts().forEach(concept -> values.putAll(Keys.valuesOf(concept)));
    return values;
  }

  /** Whether another value of a key changes what a run trains. */
  private static boolean matters(Key<?, ?> key, Config ours, Config theirs) {
    if (!key.decides()) {
      return false;
    }
    if (key.group() == Key.Group.PRIOR_LOSS && !ours.prior().withPriorPreservation()) {
      return false;
    }
    if (key == TrainingConfig.NUM_TRAIN_EPOCHS) {
      return ours.training().maxTrainSteps() == null;
    }
    if (key == LrConfig.LR_SCHEDULER || key == LrConfig.LR_WARMUP_STEPS) {
      return !isConstant(ours) || !isConstant(theirs);
    }
    return true;
  }

  /** Whether the learning rate never changes. */
  private static boolean isConstant(Config config) {
    LrConfig schedule = config.optimizer().schedule();
    return schedule.scheduler() == LrScheduler.CONSTANT
        || (schedule.scheduler() == LrScheduler.CONSTANT_WITH_WARMUP
            && schedule.warmupSteps() == 0);
  }
}
