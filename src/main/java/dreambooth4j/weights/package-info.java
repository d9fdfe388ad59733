/**
 * Files of weights and the folders that hold them: safetensors, diffusers folders, the Hugging Face
 * cache. Reads and writes the engine's tensors; knows names and shapes, not what they compute.
 */
@NullMarked
package dreambooth4j.weights;

import org.jspecify.annotations.NullMarked;
