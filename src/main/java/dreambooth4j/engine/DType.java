package dreambooth4j.engine;

import org.bytedeco.pytorch.global.torch.ScalarType;

/** Element types of tensors, as libtorch and safetensors know them. */
public enum DType {
  /** 64-bit float. */
  F64(8, ScalarType.Double),
  /** 32-bit float. */
  F32(4, ScalarType.Float),
  /** 16-bit float with the exponent of a 32-bit one. */
  BF16(2, ScalarType.BFloat16),
  /** IEEE half. */
  F16(2, ScalarType.Half),
  /** 64-bit integer. */
  I64(8, ScalarType.Long),
  /** 32-bit integer. */
  I32(4, ScalarType.Int),
  /** 16-bit integer. */
  I16(2, ScalarType.Short),
  /** 8-bit integer. */
  I8(1, ScalarType.Char),
  /** 8-bit unsigned integer. */
  U8(1, ScalarType.Byte),
  /** One byte, 0 or 1. */
  BOOL(1, ScalarType.Bool);

  private final int bytes;
  private final ScalarType scalarType;

  DType(int bytes, ScalarType scalarType) {
    this.bytes = bytes;
    this.scalarType = scalarType;
  }

  /** Size of one element in bytes. */
  public int bytes() {
    return bytes;
  }

  /** Whether it is a floating-point type. */
  public boolean isFloat() {
    return this == F64 || this == F32 || this == BF16 || this == F16;
  }

  /** Whether it is a float of 16 bits: a type to compute in beside masters of F32. */
  public boolean isHalf() {
    return this == BF16 || this == F16;
  }

  ScalarType scalarType() {
    return scalarType;
  }

  static DType of(ScalarType type) {
    for (DType each : values()) {
      if (each.scalarType.value == type.value) {
        return each;
      }
    }
    throw new IllegalArgumentException("no engine type for libtorch's " + type);
  }
}
