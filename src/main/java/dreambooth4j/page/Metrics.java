package dreambooth4j.page;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * The numbers of {@code metrics.jsonl} as columns, one row a step. A file that grows is read on
 * from where it was left. Lines that are damaged are passed over.
 */
public final class Metrics {
  /** Its name in a run's folder. */
  public static final String FILE = "metrics.jsonl";

  /** Numbers of other names are left out: a file from elsewhere may hold anything. */
  private static final int MOST_COLUMNS = 64;

  private static final int MOST_ROWS = 4_000_000;
  private static final int LONGEST_LINE_BYTES = 1 << 16;
  private static final int CHUNK = 1 << 18;
  private static final String STEP = "step";
  private static final JsonMapper JSON = new JsonMapper();

  private final Path file;
  private final Map<String, double[]> columns = new LinkedHashMap<>();
  private double[] steps = new double[16];
  private int rows;
  private long read;

  /** Nothing is read before {@link #update}. */
  public Metrics(Path folder) {
    file = folder.resolve(FILE);
  }

  /** Rows so far. */
  public int rows() {
    return rows;
  }

  /** The steps of the rows, rising. */
  public double[] steps() {
    return Arrays.copyOf(steps, rows);
  }

  /** Names of the columns, as they first came. */
  public Set<String> names() {
    return columns.keySet();
  }

  /**
   * A column; NaN where a row has no such number, and in all rows where there is no such column.
   */
  public double[] column(String name) {
    double[] column = columns.get(name);
    return column == null ? grown(new double[0], rows) : Arrays.copyOf(column, rows);
  }

  /**
   * Reads what has been written since it was last called; from the beginning if the file has become
   * shorter.
   *
   * @return whether there is anything new
   * @throws Problem if it is there and cannot be read
   */
  public boolean update() {
    if (!Files.exists(file)) {
      return forget();
    }
    try (FileChannel in = RegularFile.channel(file)) {
      boolean shorter = in.size() < read && forget();
      long before = read;
      in.position(read);
      byte[] line = new byte[LONGEST_LINE_BYTES];
      int length = 0;
      boolean tooLong = false;
      ByteBuffer chunk = ByteBuffer.allocate(CHUNK);
      while (in.read(chunk.clear()) > 0) {
        chunk.flip();
        long from = in.position() - chunk.limit();
        while (chunk.hasRemaining()) {
          byte next = chunk.get();
          if (next == '\n') {
            if (!tooLong) {
              add(line, length);
            }
            read = from + chunk.position();
            length = 0;
            tooLong = false;
          } else if (length == line.length) {
            tooLong = true;
          } else {
            line[length++] = next;
          }
        }
      }
      return shorter || read > before;
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.DATA, "%s cannot be read: %s".formatted(file, Problem.why(e)), e);
    }
  }

  private boolean forget() {
    boolean some = rows > 0;
    rows = 0;
    read = 0;
    columns.clear();
    return some;
  }

  private void add(byte[] line, int length) {
    JsonNode values;
    try {
      values = JSON.readTree(line, 0, length);
    } catch (JsonProcessingException e) {
      return;
    } catch (IOException e) {
      throw new IllegalStateException(e); // it reads memory
    }
    JsonNode step = values.path(STEP);
    if (!step.isIntegralNumber() || !step.canConvertToInt() || step.asInt() < 0) {
      return;
    }
    int row = row(step.asInt());
    if (row < 0) {
      return;
    }
    for (Map.Entry<String, JsonNode> each : values.properties()) {
      if (each.getValue().isNumber() && !each.getKey().equals(STEP)) {
        put(each.getKey(), row, each.getValue().asDouble());
      }
    }
  }

  /** The row of a step: the last one, or one more; what an earlier run wrote beyond is dropped. */
  private int row(int step) {
    while (rows > 0 && steps[rows - 1] > step) {
      rows--;
      for (double[] column : columns.values()) {
        column[rows] = Double.NaN;
      }
    }
    if (rows > 0 && steps[rows - 1] == step) {
      return rows - 1;
    }
    if (rows == MOST_ROWS) {
      return -1;
    }
    if (rows == steps.length) {
      int more = 2 * rows;
      steps = Arrays.copyOf(steps, more);
      columns.replaceAll((name, column) -> grown(column, more));
    }
    steps[rows] = step;
    return rows++;
  }

  private static double[] grown(double[] column, int length) {
    double[] grown = Arrays.copyOf(column, length);
    Arrays.fill(grown, column.length, length, Double.NaN);
    return grown;
  }

  private void put(String name, int row, double value) {
    double[] column = columns.get(name);
    if (column == null) {
      if (columns.size() == MOST_COLUMNS) {
        return;
      }
      column = grown(new double[0], steps.length);
      columns.put(name, column);
    }
    column[row] = value;
  }
}
