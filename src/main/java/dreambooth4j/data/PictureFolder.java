package dreambooth4j.data;

import dreambooth4j.FolderEntries;
import dreambooth4j.Nearest;
import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * The pictures in a folder and the folders below it, by name, and what else lies there.
 *
 * @param pictures files with a picture's extension, sorted, none of the same content as another
 * @param masks which of them have a file that says what counts in the loss, and its path
 * @param skipped how many other files and folders there are, by reason; captions are not among them
 */
public record PictureFolder(
    List<Path> pictures, Map<Path, Path> masks, Map<String, Integer> skipped) {
  /** What a review keeps beside the pictures; it is passed over, and not worth a word. */
  public static final String REVIEW = ".review";

  /** What other programs leave in folders of pictures. */
  private static final Map<String, String> LEFT_BEHIND =
      Map.of(
          ".ipynb_checkpoints", "notebook checkpoints",
          ".thumbnails", "thumbnails",
          "@eaDir", "thumbnails",
          "Thumbs.db", "thumbnails",
          "ehthumbs.db", "thumbnails",
          "__MACOSX", "archive leftovers (__MACOSX)");

  /** Extensions, besides those of captions, of what belongs to the picture of the same name. */
  private static final Set<String> COMPANIONS = Set.of("json", CropFile.EXTENSION);

  /** Far more than anybody trains with; a link to a whole disk is found out in seconds. */
  private static final int MOST_FILES = 1_000_000;

  /** Levels below the folder; to find out the real names of deeper ones takes their square. */
  private static final int DEEPEST = 64;

  /** Lists folders of pictures as a configuration has it, which is read once for all of them. */
  public static final class Lister {
    private final Set<Path> elsewhere = new HashSet<>();
    private final List<String> captions;

    /**
     * Folders that the configuration gives a use of their own (class images in a folder of
     * pictures, the output) are not entered.
     */
    public Lister(Config config) {
      captions = config.data().captions().extensions();
      elsewhere.add(real(config.output().outputDir()));
      for (ConceptConfig concept : config.concepts()) {
        elsewhere.add(real(concept.instanceDataDir()));
        elsewhere.add(real(concept.classImages().dataDir()));
      }
    }

    /**
     * Lists a folder and those below it, symbolic links followed, each folder once. Folders that
     * hold a model or what a run left are not entered.
     *
     * @throws Problem if a folder cannot be listed, is itself that of a model or a run, or there
     *     are more files than anybody trains with
     */
    public PictureFolder list(Path folder) {
      if (!Files.isDirectory(folder)) {
        String what = Files.exists(folder) ? "is no folder" : "is not there" + Nearest.hint(folder);
        throw Problem.data(
            "%s %s: give the folder that the pictures lie in".formatted(folder, what));
      }
      if (isOfARun(folder)) {
        throw Problem.data(
            "%s holds a model, or what a run of train left: its samples and class images would be read as pictures of yours. Give the folder that the pictures themselves lie in; class images of a run are in the folders of %s."
                .formatted(folder, folder.resolve("class_images")));
      }
      Walk walk = new Walk(elsewhere, captions);
      walk.all(folder);
      return walk.result();
    }
  }

  /** Whether a model lies there, or what a run left of itself: none of it is somebody's picture. */
  private static boolean isOfARun(Path folder) {
    return Files.exists(folder.resolve("model_index.json"))
        || ConfigWriter.wrote(folder.resolve(ConfigWriter.FILE));
  }

  /** Whether a file is a picture by its name. */
  public static boolean isPicture(Path file) {
    return PictureFile.EXTENSIONS.contains(PictureFile.extension(file));
  }

  /** A folder by the one name that it has whatever links lead to it, if it is there. */
  static Path real(Path folder) {
    try {
      return folder.toRealPath();
    } catch (IOException e) {
      return folder.toAbsolutePath().normalize();
    }
  }

  /** What was skipped, for people: "2 hidden, 1 duplicate"; empty if nothing was. */
  public String skippedInWords() {
    return String.join(
        ", ", skipped.entrySet().stream().map(e -> e.getValue() + " " + e.getKey()).toList());
  }

  /** Sorts what it meets into pictures, texts that may belong to one, and the rest. */
  private static final class Walk {
    /** Folders that are not entered. */
    private final Set<Path> elsewhere;

    /** Folders that were. */
    private final Set<Path> entered = new HashSet<>();

    private final List<String> captions;
    private final Deque<Path> links = new ArrayDeque<>();
    private final List<Path> pictures = new ArrayList<>();
    private final List<Path> masks = new ArrayList<>();
    private final List<Path> companions = new ArrayList<>();
    private final Map<String, Integer> skipped = new TreeMap<>();
    private int met;

    Walk(Set<Path> elsewhere, List<String> captions) {
      this.captions = captions;
      this.elsewhere = elsewhere;
    }

    /**
     * All that lies below, in the order of names; links to folders come last, so that a folder goes
     * by its own name rather than by one of a link to it.
     */
    void all(Path root) {
      folder(root, root);
      while (!links.isEmpty()) {
        enter(root, links.remove());
      }
    }

    private void folder(Path root, Path folder) {
      entered.add(real(folder));
      for (Path entry : entries(root, folder)) {
        if (passOver(entry)) {
          continue;
        }
        if (!Files.isDirectory(entry)) {
          file(entry);
        } else if (Files.isSymbolicLink(entry)) {
          links.add(entry);
        } else {
          enter(root, entry);
        }
      }
    }

    private List<Path> entries(Path root, Path folder) {
      try {
        List<Path> entries = FolderEntries.of(folder);
        met += entries.size();
        if (met > MOST_FILES) {
          throw Problem.data(
              "%s and the folders below it hold more than %,d files: give the folder that the pictures lie in, and look for links to other folders there"
                  .formatted(root, MOST_FILES));
        }
        return entries;
      } catch (IOException e) {
        throw new Problem(
            Problem.Kind.DATA, "%s cannot be listed: %s".formatted(folder, Problem.why(e)), e);
      }
    }

    private void enter(Path root, Path folder) {
      Path real = real(folder);
      if (elsewhere.contains(real) || entered.contains(real)) {
        skip(
            Files.isSymbolicLink(folder)
                ? "link to a folder that is read already or has another use"
                : "folder with a use of its own");
      } else if (isOfARun(folder)) {
        skip("folder of a model or of a run");
      } else if (folder.getNameCount() - root.getNameCount() > DEEPEST) {
        skip("folder more than %d levels down".formatted(DEEPEST));
      } else {
        folder(root, folder);
      }
    }

    private void file(Path file) {
      String extension = PictureFile.extension(file);
      if (!Files.isRegularFile(file)) {
        skip(Files.exists(file) ? "pipe, device or socket" : "link that leads nowhere");
      } else if (isPicture(file)) {
        (LossMask.isMask(file) ? masks : pictures).add(file);
      } else if (isCaption(extension) || COMPANIONS.contains(extension)) {
        companions.add(file);
      } else {
        skip("no picture (" + (extension.isEmpty() ? "no extension" : "." + extension) + ")");
      }
    }

    private boolean passOver(Path entry) {
      String name = String.valueOf(entry.getFileName());
      if (name.equals(REVIEW)) {
        return true;
      }
      String reason = LEFT_BEHIND.get(name);
      if (reason == null && name.startsWith(".")) {
        reason = "hidden";
      }
      if (reason != null) {
        skip(reason);
      }
      return reason != null;
    }

    private boolean isCaption(String extension) {
      return captions.contains("." + extension);
    }

    private void skip(String reason) {
      skipped.merge(reason, 1, Integer::sum);
    }

    PictureFolder result() {
      Collections.sort(pictures);
      Set<Path> stems = new HashSet<>();
      pictures.forEach(picture -> stems.add(stem(picture)));
      Map<Path, Path> masks = masks(stems);
      for (Path file : companions) {
        if (!stems.contains(stem(file))) {
          String extension = PictureFile.extension(file);
          skip(
              isCaption(extension)
                  ? "caption without a picture"
                  : "no picture (." + extension + ")");
        }
      }
      Set<Path> duplicates = Duplicates.among(pictures);
      duplicates.forEach(file -> skip("duplicate"));
      pictures.removeAll(duplicates);
      Map<Path, Path> ofPictures = new HashMap<>();
      for (Path picture : pictures) {
        Path mask = masks.get(stem(picture));
        if (mask != null) {
          ofPictures.put(picture, mask);
        }
      }
      return new PictureFolder(
          List.copyOf(pictures), Map.copyOf(ofPictures), Collections.unmodifiableMap(skipped));
    }

    /** The masks by the path, without extension, of the picture that they are of. */
    private Map<Path, Path> masks(Set<Path> stems) {
      Collections.sort(masks);
      Map<Path, Path> found = new HashMap<>();
      for (Path mask : masks) {
        Path of = mask.resolveSibling(LossMask.pictureOf(mask));
        if (!stems.contains(of)) {
          skip("mask without a picture");
        } else if (found.putIfAbsent(of, mask) != null) {
          skip("second mask of a picture");
        }
      }
      return found;
    }

    private static Path stem(Path file) {
      return file.resolveSibling(Companion.stem(file));
    }
  }
}
