/**
 * UNet, text encoder, VAE and tokenizer, built from the engine's ops; config.json decides every
 * size.
 */
@NullMarked
package dreambooth4j.model;

import org.jspecify.annotations.NullMarked;
