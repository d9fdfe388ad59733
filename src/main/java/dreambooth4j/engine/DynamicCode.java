package dreambooth4j.engine;

import java.util.Arrays;

/**
 * The 8-bit code for numbers of -1 to 1, or of 0 to 1, that is fine near 0 and near 1: the dynamic
 * map of Dettmers et al. 2022 ("8-bit Optimizers via Block-wise Quantization"). It has seven
 * decades, from 10⁻⁶ to 1; the i-th, i from 0, is cut into 2ⁱ even parts (2ⁱ⁺¹ where there is no
 * sign), each of which stands for its middle. With 0, 1 and the negative numbers that makes 256
 * values; a number's code is its place among them in ascending order.
 */
public final class DynamicCode {
  /** For first moments: -1 to 1. */
  public static final DynamicCode SIGNED = new DynamicCode(true);

  /** For second moments: 0 to 1. What is above 0 never becomes 0, for it stands in a divisor. */
  public static final DynamicCode UNSIGNED = new DynamicCode(false);

  private static final int DECADES = 7;

  /** Leaves sign, exponent and seven digits of a float: so many cells up to 1, for each sign. */
  private static final int SHIFT = 16;

  private static final int CELLS = (0x3f80_0000 >>> SHIFT) + 1; // the bits of 1.0

  private final float[] values = new float[256];

  /** Above {@code bounds[c]} lies code c + 1. */
  private final float[] bounds = new float[256];

  /** The least code of each cell, those of positive numbers first. */
  private final byte[] least = new byte[2 * CELLS];

  private DynamicCode(boolean signed) {
    int n = 0;
    for (int i = 0; i < DECADES; i++) {
      int parts = 1 << (signed ? i : i + 1);
      for (int j = 0; j < parts; j++) {
        double middle = 0.1 + 0.9 * (j + 0.5) / parts;
        float value = (float) (middle * Math.pow(10, i - (DECADES - 1)));
        values[n++] = value;
        if (signed) {
          values[n++] = -value;
        }
      }
    }
    values[n] = 1; // and the one left over stays 0
    Arrays.sort(values);
    for (int c = 0; c < 255; c++) {
      bounds[c] = (values[c] + values[c + 1]) / 2;
    }
    bounds[255] = Float.POSITIVE_INFINITY;
    if (!signed) {
      bounds[0] = 0;
    }
    for (int cell = 0; cell < CELLS; cell++) {
      least[cell] = (byte) search(Float.intBitsToFloat(cell << SHIFT));
      // Of a negative cell the number of largest magnitude is the least.
      least[CELLS + cell] = (byte) search(-Float.intBitsToFloat(((cell + 1) << SHIFT) - 1));
    }
  }

  private int search(float x) {
    int code = 0;
    while (x > bounds[code]) {
      code++;
    }
    return code;
  }

  /** The number that a code, as a byte holds it, stands for. */
  public float value(byte code) {
    return values[code & 0xff];
  }

  /** The code of the value nearest to {@code x}, which is from -1 to 1. */
  public byte encode(float x) {
    int bits = Float.floatToRawIntBits(x);
    int cell = (bits & 0x7fff_ffff) >>> SHIFT;
    int code = least[bits < 0 ? CELLS + cell : cell] & 0xff;
    return (byte) (x > bounds[code] ? code + 1 : code); // no cell has more than one bound
  }
}
