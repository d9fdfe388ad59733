/**
 * Tensors with an owner, a tape with explicit backward, flat parameters and their optimizer. Knows
 * nothing of diffusion; the only room, with its ops, that speaks libtorch.
 */
@NullMarked
package dreambooth4j.engine;

import org.jspecify.annotations.NullMarked;
