package dreambooth4j;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import org.jspecify.annotations.Nullable;

/**
 * Something the user can mend: said in one message, with a way out, and no stack trace. The kind
 * decides the exit code of the command.
 */
public final class Problem extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What is at fault, and the exit code that tells a script so. */
  public enum Kind {
    /** Anything that is none of the others. */
    FAILED(1),
    /** The command line or the configuration. */
    USAGE(2),
    /** A picture, a caption or a model file. */
    DATA(3),
    /** The device or its driver. */
    DEVICE(4),
    /** Memory does not suffice: less of it may be tried. */
    MEMORY(4),
    /** Training produced a number that is not finite. */
    DIVERGED(5);

    private final int exitCode;

    Kind(int exitCode) {
      this.exitCode = exitCode;
    }

    /** The exit code of the process. */
    public int exitCode() {
      return exitCode;
    }
  }

  private final Kind kind;

  /**
   * A problem with its cause, which is shown under {@code -v} only; the cause may be null. What the
   * message quotes of files and their names is made safe to print.
   */
  public Problem(Kind kind, String message, @Nullable Throwable cause) {
    super(Printable.text(message), cause);
    this.kind = kind;
  }

  /** A problem without a cause. */
  public Problem(Kind kind, String message) {
    super(Printable.text(message));
    this.kind = kind;
  }

  /** The command line or the configuration is at fault. */
  public static Problem usage(String message) {
    return new Problem(Kind.USAGE, message);
  }

  /** A picture, a caption or a model file is at fault. */
  public static Problem data(String message) {
    return new Problem(Kind.DATA, message);
  }

  /** Why a file could not be read or written, in words: Java's own are often the bare path. */
  public static String why(IOException e) {
    if (e instanceof NoSuchFileException) {
      return "there is no such file or folder";
    }
    if (e instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (e instanceof FileAlreadyExistsException || e instanceof NotDirectoryException) {
      return "something that is no folder is in its place";
    }
    if (e instanceof DirectoryNotEmptyException) {
      return "a folder that is not empty is in its place";
    }
    if (e instanceof AtomicMoveNotSupportedException) {
      return "it is on another disk than the folder that it belongs to (a link, or a mount)";
    }
    if (e.getCause() instanceof IOException cause && cause.toString().equals(e.getMessage())) {
      return why(cause); // a wrapper that says no more than what it wraps
    }
    String reason = e instanceof FileSystemException f ? f.getReason() : e.getMessage();
    return reason == null ? e.getClass().getSimpleName() : reason;
  }

  /** What is at fault. */
  public Kind kind() {
    return kind;
  }
}
