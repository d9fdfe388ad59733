package dreambooth4j.prior;

import dreambooth4j.Problem;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.Parallel;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Tells base models apart by their weights, so that class images of another one are noticed. */
public final class BaseModel {
  private static final List<Component> DRAWING =
      List.of(Component.UNET, Component.TEXT_ENCODER, Component.VAE);

  private BaseModel() {}

  /**
   * SHA-256 over the weights that draw, each file of them whole.
   *
   * @param variant which of several sets of weights is read; null for the plain one
   * @throws Problem if one cannot be read
   */
  public static String fingerprint(ModelFolder model, @Nullable String variant) {
    MessageDigest all = sha256();
    for (Component component : DRAWING) {
      for (Path file : weights(model.folder(component), variant)) {
        all.update((component.folder() + "/").getBytes(StandardCharsets.UTF_8));
        try (InputStream in = Files.newInputStream(file);
            OutputStream out = new DigestOutputStream(OutputStream.nullOutputStream(), all)) {
          in.transferTo(out);
        } catch (IOException e) {
          throw new Problem(Problem.Kind.DATA, file + " cannot be read: " + e.getMessage(), e);
        }
      }
    }
    return HexFormat.of().formatHex(all.digest());
  }

  /**
   * Says that class images are there with a record of another base model; null if there are none.
   */
  public static @Nullable String noteOfOthers(
      ClassImagePlan plan, ModelFolder model, @Nullable String variant) {
    int others = madeByOthers(plan, model, variant);
    return others == 0
        ? null
        : "%d of the class images that are there were made by another base model than %s: they are used as they are; delete them to have them made again"
            .formatted(others, model.path());
  }

  private static int madeByOthers(
      ClassImagePlan plan, ModelFolder model, @Nullable String variant) {
    List<ClassImage> there = plan.needs().stream().flatMap(n -> n.present().stream()).toList();
    List<String> makers =
        Parallel.map(there, image -> Optional.ofNullable(ClassImageRecord.beside(image.file())))
            .stream()
            .flatMap(Optional::stream)
            .map(ClassImageRecord::model)
            .toList();
    if (makers.isEmpty()) {
      return 0; // reading all weights takes a while
    }
    String own = fingerprint(model, variant);
    return (int) makers.stream().filter(maker -> !maker.equals(own)).count();
  }

  private static List<Path> weights(Path folder, @Nullable String variant) {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> all =
          files.filter(file -> file.toString().endsWith(".safetensors")).sorted().toList();
      return Stream.of(variant, "")
          .filter(Objects::nonNull)
          .map(which -> all.stream().filter(file -> variant(file).equals(which)).toList())
          .filter(found -> !found.isEmpty())
          .findFirst()
          .orElse(all);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, folder + " cannot be listed: " + e.getMessage(), e);
    }
  }

  /**
   * The word before {@code .safetensors}, without the number of a shard; empty if there is none.
   */
  private static String variant(Path file) {
    String stem = String.valueOf(file.getFileName()).replaceFirst("\\.safetensors$", "");
    int dot = stem.lastIndexOf('.');
    return dot < 0 ? "" : stem.substring(dot + 1).replaceFirst("-\\d+-of-\\d+$", "");
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
