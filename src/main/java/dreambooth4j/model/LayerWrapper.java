package dreambooth4j.model;

/** Puts something, or nothing, around the layers that a {@link Scope} makes. */
interface LayerWrapper {
  /** Leaves layers as they are. */
  LayerWrapper NONE =
      new LayerWrapper() {
        @Override
        public Dense around(String module, Dense.Plain layer) {
          return layer;
        }

        @Override
        public Conv around(String module, Conv.Plain layer) {
          return layer;
        }
      };

  /** A linear layer with what is around it, or itself. */
  Dense around(String module, Dense.Plain layer);

  /** A convolution with what is around it, or itself. */
  Conv around(String module, Conv.Plain layer);
}
