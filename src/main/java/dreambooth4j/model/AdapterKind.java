package dreambooth4j.model;

/** How an adapter changes its layer. */
public enum AdapterKind {
  /** By a product of two small matrices. */
  LORA(Lora::of),
  /** As LORA, with the length of each row of the weight learnt by itself. */
  DORA(Dora::of),
  /** By two products of small matrices, multiplied element by element. */
  LOHA(Loha::of),
  /** By the Kronecker product of two small weights. */
  LOKR(Lokr::of);

  /** Makes an adapter around a layer. */
  @FunctionalInterface
  interface Maker {
    /** Declares its weights in {@code scope}. */
    Adapter of(AdapterInput input, Scope scope, PlainLayer layer, AdapterSize size);
  }

  @SuppressWarnings("ImmutableEnumChecker") // a method
  private final Maker maker;

  AdapterKind(Maker maker) {
    this.maker = maker;
  }

  Adapter around(AdapterInput input, Scope scope, PlainLayer layer, AdapterSize size) {
    return maker.of(input, scope, layer, size);
  }
}
