/**
 * Models put together: prompts to hidden states, pictures to latents and back, and from noise to
 * pictures.
 */
@NullMarked
package dreambooth4j.pipeline;

import org.jspecify.annotations.NullMarked;
