package dreambooth4j.report;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Something about a run's pictures that their owner should know before they are trained.
 *
 * @param text what it is and what it means
 * @param cases the pictures it is about; none where it is about all of a concept
 */
public record Finding(Kind kind, String text, List<Case> cases) {
  private static final int FEW = 3;

  /** What is looked for, in the order of importance. */
  public enum Kind {
    UNREADABLE("cannot be trained"),
    LONG_PROMPT("prompt too long"),
    NO_CLASS_TOKEN("no class token"),
    EQUAL_CAPTIONS("captions all equal"),
    SHARED_TAG("tag in every caption"),
    TINY("very small"),
    ENLARGED("enlarged"),
    NEAR_DUPLICATE("nearly a duplicate");

    private final String label;

    Kind(String label) {
      this.label = label;
    }

    /** The kind in two or three words. */
    public String label() {
      return label;
    }
  }

  /** One picture that it is about, and how far; the detail may be empty. */
  public record Case(Path file, String detail) {}

  /** The finding in one line, with the first few pictures. */
  public String line(Function<Path, String> shown) {
    if (cases.isEmpty()) {
      return text;
    }
    String some =
        cases.stream()
            .limit(FEW)
            .map(
                each ->
                    shown.apply(each.file)
                        + (each.detail.isEmpty() ? "" : " (" + each.detail + ")"))
            .collect(Collectors.joining(", "));
    int more = cases.size() - FEW;
    return text + ": " + some + (more > 0 ? " and " + more + " more" : "");
  }
}
