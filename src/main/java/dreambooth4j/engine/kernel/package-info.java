/**
 * Kernels of our own: {@code native/cuda/*.cu}, compiled by NVRTC when first used, launched on
 * libtorch's stream. Each {@code …Kernels} class knows the launch shapes of one file.
 */
@NullMarked
package dreambooth4j.engine.kernel;

import org.jspecify.annotations.NullMarked;
