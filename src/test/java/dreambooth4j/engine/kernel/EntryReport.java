package dreambooth4j.engine.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the assembler says of one entry point.
 *
 * @param registers of a thread
 * @param sharedBytes static shared memory of a block
 * @param stackBytes local memory of a thread: arrays that did not fit into registers
 * @param spillBytes stored to and loaded from local memory for want of registers
 */
public record EntryReport(
    String entry, int registers, int sharedBytes, int stackBytes, int spillBytes) {
  private static final Pattern ENTRY = Pattern.compile("Compiling entry function '(\\w+)'");
  private static final Pattern STACK =
      Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill");
  private static final Pattern USED = Pattern.compile("Used (\\d+) registers");
  private static final Pattern SHARED = Pattern.compile("(\\d+) bytes smem");

  /** All that a compilation's log speaks of. */
  public static List<EntryReport> of(String log) {
    List<EntryReport> reports = new ArrayList<>();
    String entry = "";
    int stack = -1;
    int spill = -1;
    for (String line : log.lines().toList()) {
      Matcher started = ENTRY.matcher(line);
      Matcher stacked = STACK.matcher(line);
      Matcher used = USED.matcher(line);
      if (started.find()) {
        entry = started.group(1);
      } else if (stacked.find()) {
        stack = Integer.parseInt(stacked.group(1));
        spill = Integer.parseInt(stacked.group(2)) + Integer.parseInt(stacked.group(3));
      } else if (used.find()) {
        Matcher shared = SHARED.matcher(line);
        int bytes = shared.find() ? Integer.parseInt(shared.group(1)) : 0;
        reports.add(new EntryReport(entry, Integer.parseInt(used.group(1)), bytes, stack, spill));
      }
    }
    return reports;
  }
}
