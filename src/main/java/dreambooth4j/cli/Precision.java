package dreambooth4j.cli;

import dreambooth4j.engine.DType;

/** What {@code --dtype} takes, by kohya's names. */
enum Precision {
  FP32(DType.F32),
  FP16(DType.F16),
  BF16(DType.BF16);

  private final DType type;

  Precision(DType type) {
    this.type = type;
  }

  /** The type of numbers. */
  DType type() {
    return type;
  }
}
