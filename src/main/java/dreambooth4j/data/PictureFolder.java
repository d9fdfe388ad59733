package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import java.io.IOException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * The pictures in a folder and the folders below it, by name, and what else lies there.
 *
 * @param pictures files with a picture's extension, sorted, none of the same content as another
 * @param skipped how many other files and folders there are, by reason; captions are not among them
 */
public record PictureFolder(List<Path> pictures, Map<String, Integer> skipped) {
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

  /**
   * Lists a folder and those below it, symbolic links followed.
   *
   * @param config folders that it gives a use of their own (class images in a folder of pictures,
   *     the output) are not entered
   * @throws Problem if a folder cannot be listed
   */
  public static PictureFolder list(Path folder, Config config) {
    if (!Files.isDirectory(folder)) {
      String what = Files.exists(folder) ? "is no folder" : "is not there";
      throw Problem.data("%s %s: give the folder that the pictures lie in".formatted(folder, what));
    }
    Walk walk = new Walk(folder, foldersOf(config), config.data().captions().extensions());
    try {
      Files.walkFileTree(folder, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, walk);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.DATA, "%s cannot be listed: %s".formatted(folder, Problem.why(e)), e);
    }
    return walk.result();
  }

  /** Whether a file is a picture by its name. */
  public static boolean isPicture(Path file) {
    return PictureFile.EXTENSIONS.contains(PictureFile.extension(file));
  }

  private static Set<Path> foldersOf(Config config) {
    Set<Path> folders = new HashSet<>();
    folders.add(real(config.output().outputDir()));
    for (ConceptConfig concept : config.concepts()) {
      folders.add(real(concept.instanceDataDir()));
      folders.add(real(concept.classImages().dataDir()));
    }
    return folders;
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
  private static final class Walk extends SimpleFileVisitor<Path> {
    private final Path root;
    private final Set<Path> elsewhere;
    private final List<String> captions;
    private final List<Path> pictures = new ArrayList<>();
    private final List<Path> companions = new ArrayList<>();
    private final Map<String, Integer> skipped = new TreeMap<>();

    Walk(Path root, Set<Path> elsewhere, List<String> captions) {
      this.captions = captions;
      this.root = root;
      this.elsewhere = elsewhere;
    }

    @Override
    public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
      if (folder.equals(root)) {
        return FileVisitResult.CONTINUE;
      }
      if (elsewhere.contains(real(folder))) {
        skip("folder with a use of its own");
        return FileVisitResult.SKIP_SUBTREE;
      }
      return passOver(folder) ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
      if (passOver(file)) {
        return FileVisitResult.CONTINUE;
      }
      String extension = PictureFile.extension(file);
      if (attributes.isSymbolicLink()) {
        skip("link that leads nowhere");
      } else if (isPicture(file)) {
        pictures.add(file);
      } else if (isCaption(extension) || COMPANIONS.contains(extension)) {
        companions.add(file);
      } else {
        skip("no picture (" + (extension.isEmpty() ? "no extension" : "." + extension) + ")");
      }
      return FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFileFailed(Path file, IOException failure) throws IOException {
      if (failure instanceof java.nio.file.FileSystemLoopException) {
        skip("link to a folder above it");
        return FileVisitResult.CONTINUE;
      }
      throw failure;
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
      pictures.forEach(picture -> stems.add(picture.resolveSibling(Caption.stem(picture))));
      for (Path file : companions) {
        if (!stems.contains(file.resolveSibling(Caption.stem(file)))) {
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
      return new PictureFolder(List.copyOf(pictures), Collections.unmodifiableMap(skipped));
    }
  }
}
