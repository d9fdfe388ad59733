/**
 * Stable Diffusion's models, each written once as its forward from the engine's ops; their
 * config.json decides every size.
 */
@NullMarked
package dreambooth4j.model;

import org.jspecify.annotations.NullMarked;
