/** Files of other trainers, kohya's sd-scripts and OneTrainer, as a configuration. */
package dreambooth4j.config.imports;
