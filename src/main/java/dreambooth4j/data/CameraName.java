package dreambooth4j.data;

import java.util.regex.Pattern;

/**
 * Names that cameras, telephones, messengers and programs give to pictures. They say nothing of
 * what a picture shows, so they are no captions.
 */
final class CameraName {
  /** What follows such a name: numbers, dates, times, and what a device says of the shot. */
  private static final String REST =
      "([\\d\\p{Punct}\\s]|at|am|pm|wa|hdr|burst|cover|portrait|night|mp|raw|heic|jpe?g|edited|copy|e(?=\\d))*";

  private static final Pattern CAMERA =
      Pattern.compile(
          "[_\\s]*(img|imgp|mg|dsc|dscn|dscf|dcim|cimg|pict|hpim|sam|gopr|dji|pxl|mvimg|pano|fb_img|received"
              + "|signal|p(?=\\d{7}))(?=[\\W_\\d]|e\\d)"
              + REST,
          Pattern.CASE_INSENSITIVE);

  private static final Pattern PROGRAM =
      Pattern.compile(
          "(photo|image|picture|unnamed|untitled|download|frame|scan)"
              + "([\\d\\p{Punct}\\s]*|[\\d\\p{Punct}\\s]+copy[\\d\\p{Punct}\\s]*)",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern DATED =
      Pattern.compile(
          "(whatsapp (image|photo)|(screenshot|screen shot)([\\s_-]*(from))?)[\\s_-]*(\\d{4}[-_.]?\\d{2}.*|[\\d\\p{Punct}\\s]+)",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern HASH =
      Pattern.compile(
          "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=.*\\d)[0-9a-f]{16,}",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern NO_LETTER = Pattern.compile("[^\\p{L}]*");

  private CameraName() {}

  /** Whether a file's name without its extension is such a name, or has no letter at all. */
  static boolean is(String stem) {
    return NO_LETTER.matcher(stem).matches()
        || CAMERA.matcher(stem).matches()
        || PROGRAM.matcher(stem).matches()
        || DATED.matcher(stem).matches()
        || HASH.matcher(stem).matches();
  }
}
