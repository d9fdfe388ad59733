/**
 * Diffusion apart from the network: the noise schedule, what the network is asked for and how its
 * errors weigh, and the samplers that turn its answers into a picture.
 */
@NullMarked
package dreambooth4j.diffusion;

import org.jspecify.annotations.NullMarked;
