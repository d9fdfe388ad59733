package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.prior.ClassImagePlan;
import java.io.PrintWriter;
import java.nio.file.Path;

/** Prints which class images are there and which are missing. */
final class ClassImageTable {
  private ClassImageTable() {}

  /** One line for each concept, size and caption, and the sums. */
  static void print(PrintWriter out, ClassImagePlan plan) {
    if (plan.needs().isEmpty()) {
      out.println("Class images: none, the run trains without prior preservation");
      return;
    }
    out.println("Class images");
    out.printf("%7s %7s %7s  %-9s  %s%n", "needed", "there", "missing", "bucket", "class caption");
    Path folder = null;
    for (ClassImagePlan.Need need : plan.needs()) {
      Path itsFolder = need.concept().classImages().dataDir();
      if (!itsFolder.equals(folder)) {
        folder = itsFolder;
        out.printf("in %s:%n", shown(folder));
      }
      boolean whole = need.concept().classImages().unmatched();
      out.printf(
          "%7s %7d %7d  %-9s  %s%n",
          whole ? "-" : Integer.toString(need.needed()),
          need.present().size(),
          need.missing(),
          need.pool().bucket(),
          whole ? remarkOn(need) : Printable.line(need.pool().caption()));
    }
    int needed = plan.needs().stream().mapToInt(ClassImagePlan.Need::needed).sum();
    out.printf("%7d %7d %7d  in all%n", needed, plan.present(), plan.missing());
  }

  /** What lies in class folders and is not used. */
  static void printSkipped(PrintWriter err, ClassImagePlan plan) {
    plan.skipped()
        .forEach((reason, count) -> err.printf("class pictures not used: %d %s%n", count, reason));
  }

  private static String remarkOn(ClassImagePlan.Need need) {
    return need.present().isEmpty()
        ? "(no class picture has a similar shape: these instance pictures are trained without prior"
            + " loss)"
        : "(each picture's own)";
  }

  /** A path as the user would type it here, safe to print. */
  static String shown(Path path) {
    Path here = Path.of("").toAbsolutePath();
    return Printable.line((path.startsWith(here) ? here.relativize(path) : path).toString());
  }
}
