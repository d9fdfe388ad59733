package dreambooth4j.model;

/** A layer with an adapter around it: a linear layer or a convolution, as the layer is. */
interface Adapter extends Dense, Conv {
  /** Gives the adapter the numbers that training begins with. */
  void begin(AdapterDraws draws);
}
