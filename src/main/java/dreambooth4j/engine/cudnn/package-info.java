/**
 * Convolutions by cuDNN, without ATen between: they read and write tensors as they lie, and plans
 * are chosen by trial.
 */
@NullMarked
package dreambooth4j.engine.cudnn;

import org.jspecify.annotations.NullMarked;
