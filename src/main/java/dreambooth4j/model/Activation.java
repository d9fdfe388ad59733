package dreambooth4j.model;

/** What lies between the two linear layers of a transformer's feed-forward. */
public enum Activation {
  /** CLIP's cheap one. */
  QUICK_GELU,
  /** The exact one. */
  GELU,
  /** One half of the numbers gates the other: DINOv2 giant's. */
  SWIGLU;

  /** Of a CLIP model of text or pictures; anything else than its two is refused. */
  static Activation ofClip(ComponentConfig c) {
    c.only("hidden_act", "\"quick_gelu\"", "\"gelu\"");
    return c.text("hidden_act", "quick_gelu").equals("gelu") ? GELU : QUICK_GELU;
  }
}
