package dreambooth4j.model;

/**
 * Position vectors of a grid of patches, for a grid of another size: PyTorch's bicubic
 * interpolation (a = −0.75, corners not aligned), as transformers does.
 */
final class PositionGrid {
  private static final double A = -0.75;

  private PositionGrid() {}

  /**
   * Interpolates.
   *
   * @param table the class token's vector, then side × side of patches: [1 + side², width]
   * @return [1 + rows × columns, width]
   */
  static float[] resized(float[] table, int side, int rows, int columns, int width) {
    if (rows == side && columns == side) {
      return table;
    }
    float[] result = new float[(1 + rows * columns) * width];
    System.arraycopy(table, 0, result, 0, width);
    for (int y = 0; y < rows; y++) {
      for (int x = 0; x < columns; x++) {
        double top = (y + 0.5) * side / rows - 0.5;
        double left = (x + 0.5) * side / columns - 0.5;
        add(table, side, width, top, left, result, (1 + y * columns + x) * width);
      }
    }
    return result;
  }

  /** Adds the vector at a place between those of the table to what is at an index. */
  private static void add(
      float[] table, int side, int width, double top, double left, float[] to, int at) {
    int row = (int) Math.floor(top);
    int column = (int) Math.floor(left);
    for (int c = 0; c < width; c++) {
      double sum = 0;
      for (int i = -1; i <= 2; i++) {
        int y = Math.max(0, Math.min(side - 1, row + i));
        double vertical = weight(top - row - i);
        for (int k = -1; k <= 2; k++) {
          int x = Math.max(0, Math.min(side - 1, column + k));
          sum += vertical * weight(left - column - k) * table[(1 + y * side + x) * width + c];
        }
      }
      to[at + c] = (float) sum;
    }
  }

  private static double weight(double distance) {
    double d = Math.abs(distance);
    return d <= 1
        ? ((A + 2) * d - (A + 3)) * d * d + 1
        : d < 2 ? ((d - 5) * d + 8) * d * A - 4 * A : 0;
  }
}
