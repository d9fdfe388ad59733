package dreambooth4j.report;

import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.Writer;
import java.util.regex.Pattern;

/** Breaks lines that are longer than a terminal is wide, between words. */
public final class Wrap {
  private static final Pattern STYLE = Pattern.compile("\u001b\\[[\\d;]*m");
  private static final int INDENT = 2;

  private Wrap() {}

  /**
   * A line as several that fit: those after the first are indented by two columns more than it is.
   * Words that are longer than a line, such as paths, stay whole.
   */
  public static String words(String line, int columns) {
    if (width(line) <= columns) {
      return line;
    }
    int blanks = line.length() - line.stripLeading().length();
    String indent = " ".repeat(blanks + INDENT);
    StringBuilder text = new StringBuilder(line.substring(0, blanks));
    int at = blanks;
    boolean begun = false; // whether the current line has a word
    for (String word : line.strip().split("(?<=\\S)(?=\\s)", -1)) {
      String plain = word.strip();
      int length = width(begun ? word : plain);
      if (begun && at + length > columns) {
        text.append('\n').append(indent).append(plain);
        at = indent.length() + width(plain);
      } else {
        text.append(begun ? word : plain);
        at += length;
      }
      begun = true;
    }
    return text.toString();
  }

  private static int width(String text) {
    String plain = STYLE.matcher(text).replaceAll("");
    return plain.codePointCount(0, plain.length());
  }

  /** A writer to a terminal that breaks what is printed into it line by line. */
  public static PrintWriter around(PrintStream terminal, int columns) {
    return new PrintWriter(new Lines(terminal, columns), true);
  }

  /** Holds back the last line until it ends. */
  private static final class Lines extends Writer {
    private final PrintStream terminal;
    private final int columns;
    private final StringBuilder pending = new StringBuilder();

    Lines(PrintStream terminal, int columns) {
      this.terminal = terminal;
      this.columns = columns;
    }

    @Override
    public void write(char[] text, int from, int length) {
      pending.append(text, from, length);
      for (int end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n")) {
        String line = pending.substring(0, end);
        print(words(line, columns) + "\n");
        pending.delete(0, end + 1);
      }
    }

    @Override
    public void flush() {
      terminal.flush();
    }

    private void print(String text) {
      terminal.print(text);
    }

    @Override
    public void close() {
      print(pending.toString());
      pending.setLength(0);
      flush();
    }
  }
}
