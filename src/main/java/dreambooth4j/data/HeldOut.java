package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What a run trains on, and what it is only measured on.
 *
 * @param concepts without the pictures that are held out
 * @param pictures those that are held out
 */
public record HeldOut(List<Concept> concepts, List<Picture> pictures) {
  /**
   * Looks through the folders of a run, and that of its validation pictures.
   *
   * @throws Problem as {@link Concept#scanAll}, and where a concept has too few pictures to keep
   *     one out
   */
  public static HeldOut scan(Config config) {
    List<Concept> all = Concept.scanAll(config);
    List<Picture> held = new ArrayList<>();
    if (config.validation().dataDir() != null) {
      held.addAll(Concept.scanAll(config.onValidationPictures()).get(0).pictures());
      Set<?> trained =
          all.stream()
              .flatMap(each -> each.pictures().stream())
              .map(each -> PictureFolder.real(each.file()))
              .collect(Collectors.toSet());
      held.removeIf(each -> trained.contains(PictureFolder.real(each.file())));
      if (held.isEmpty()) {
        throw Problem.data(
            "validation_data_dir %s holds no picture that is not trained on: give another folder"
                .formatted(config.validation().dataDir()));
      }
    }
    if (config.validation().share() == 0) {
      return new HeldOut(all, List.copyOf(held));
    }
    List<Concept> trained =
        all.stream().map(each -> part(each, config.validation().share(), held)).toList();
    return new HeldOut(trained, List.copyOf(held));
  }

  /** The concept without a share of its pictures, which go to {@code held}. */
  private static Concept part(Concept of, double share, List<Picture> held) {
    int count = of.pictures().size();
    if (count < 2) {
      throw Problem.usage(
          "validation_share: %s has one picture, and none can be kept from training: leave validation_share out"
              .formatted(of.config().instanceDataDir()));
    }
    int out = Math.max(1, (int) Math.round(share * count));
    int[] order = CounterRandom.at(0, "held out", 0, of.index()).permutation(count);
    Set<Integer> chosen = new HashSet<>();
    Arrays.stream(order).limit(out).forEach(chosen::add);
    List<Picture> kept = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      (chosen.contains(i) ? held : kept).add(of.pictures().get(i));
    }
    return of.withPictures(kept);
  }
}
