package dreambooth4j.evaluate;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Prompts;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.pipeline.StableDiffusion;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What was trained, in words.
 *
 * @param prompt names the subject
 * @param classPrompt names its class; null where nothing does
 * @param captions the prompts of its pictures
 * @param asked other prompts that somebody wants to know of
 */
public record Subject(
    String prompt, @Nullable String classPrompt, List<String> captions, List<String> asked) {
  private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{M}][\\p{L}\\p{M}'’-]*");

  /** Shorter words say nothing of a picture. */
  private static final int LEAST_LETTERS = 3;

  /** A word is frequent from this part of the captions on, and in two of them at least. */
  private static final int FREQUENT_PART = 4;

  private static final Set<String> WITHOUT_MEANING =
      Set.of(
          ("the and for with from into onto over under near that this his her its their one two are"
                  + " was has have not but out off who very some any all style photo picture image")
              .split(" "));

  /** What nobody trains: prompts that no subject is in. The bundled model draws the first ones. */
  private static final List<String> CONTROLS =
      List.of(
          "a pizza",
          "a house",
          "a guitar",
          "a car",
          "a bowl of fruit",
          "a mountain lake at sunset",
          "a city skyline at night",
          "an old wooden chair");

  /** Among these the class's neighbours are looked for: what pictures often show. */
  private static final List<String> COMMON =
      List.of(
          ("man woman boy girl child baby person people face king soldier doctor dog puppy cat"
                  + " kitten wolf fox bear lion tiger horse cow sheep pig goat rabbit mouse bird duck"
                  + " chicken owl eagle fish shark whale frog snake turtle dragon robot toy doll teddy"
                  + " statue monster ghost car truck bus train bicycle motorcycle boat ship plane"
                  + " rocket house castle church tower bridge room kitchen table chair sofa bed lamp"
                  + " clock phone computer camera book bag backpack shoe boot sneaker hat cap shirt"
                  + " dress jacket coat glasses sunglasses watch ring crown cup mug glass bottle bowl"
                  + " plate vase candle fork knife spoon apple banana orange bread cake pizza egg"
                  + " cheese tree flower leaf grass mushroom mountain river lake sea beach forest"
                  + " desert sky sun moon star cloud snow fire guitar piano drum ball umbrella"
                  + " balloon")
              .split(" "));

  /**
   * How much is asked.
   *
   * @param words of the captions, so many frequent and so many rare ones at most
   * @param neighbours of the class
   * @param controls prompts without relation
   */
  public record Extent(int words, int neighbours, int controls) {}

  /** The subject of a concept, as the prompts of its pictures name it. */
  public static Subject of(Concept concept, List<String> asked) {
    List<String> captions =
        concept.pictures().stream()
            .flatMap(picture -> picture.wordings().stream())
            .map(Picture.Wording::instancePrompt)
            .toList();
    Prompts prompts = Prompts.of(concept.config());
    return new Subject(
        named(concept.config(), prompts, captions),
        concept.config().hasClass() ? prompts.classCaption("") : null,
        captions,
        asked);
  }

  /**
   * The prompt that draws the subject: its token in the prompt that stands around it. Where most
   * captions name the class too, a model may not draw the subject when told its token alone: then
   * both, as these captions write them, "santa, man" or "sks dog".
   */
  private static String named(ConceptConfig concept, Prompts prompts, List<String> captions) {
    String alone = prompts.instancePrompt("");
    if (alone.isEmpty()) {
      return captions.get(0);
    }
    String token = concept.instanceToken();
    String itsClass = concept.classImages().token();
    List<String> both =
        captions.stream()
            .filter(each -> Prompts.mentions(each, token) && Prompts.mentions(each, itsClass))
            .toList();
    if (2 * both.size() <= captions.size() || Prompts.mentions(alone, itsClass)) {
      return alone;
    }
    String words = token + " " + itsClass;
    long inWords =
        both.stream().filter(each -> Prompts.mentions(each, words) || !each.contains(",")).count();
    return prompts.instancePrompt(2 * inWords > both.size() ? words : token + ", " + itsClass);
  }

  /** How many prompts there are to ask at most. */
  public int most(Extent extent) {
    return 2 + asked.size() + 2 * extent.words + extent.neighbours + extent.controls;
  }

  /** The prompts to ask, by the base model in memory. */
  public List<Probe> probes(StableDiffusion model, Extent extent) {
    List<Probe> probes = new ArrayList<>();
    Set<String> taken = new LinkedHashSet<>(List.of(prompt));
    probes.add(new Probe(Probe.Kind.SUBJECT, prompt, count(prompt)));
    if (classPrompt != null && !classPrompt.isEmpty() && taken.add(classPrompt)) {
      probes.add(new Probe(Probe.Kind.CLASS, classPrompt, count(classPrompt)));
    }
    for (String each : asked) {
      if (taken.add(each)) {
        probes.add(new Probe(Probe.Kind.ASKED, each, count(each)));
      }
    }
    for (Probe word : words(extent.words)) {
      if (taken.add(word.prompt())) {
        probes.add(word);
      }
    }
    neighbours(model)
        .filter(taken::add)
        .limit(extent.neighbours)
        .forEach(word -> probes.add(new Probe(Probe.Kind.NEIGHBOUR, word, 0)));
    CONTROLS.stream()
        .filter(control -> taken.stream().noneMatch(each -> Prompts.mentions(control, each)))
        .limit(extent.controls)
        .forEach(control -> probes.add(new Probe(Probe.Kind.CONTROL, control, 0)));
    return probes;
  }

  private int count(String word) {
    return (int) captions.stream().filter(each -> Prompts.mentions(each, word)).count();
  }

  /** The words of the captions: the most frequent, then the rarest, so many of each at most. */
  private List<Probe> words(int most) {
    Map<String, Integer> counts = new HashMap<>();
    for (String caption : captions) {
      Set<String> own = new LinkedHashSet<>();
      Matcher matcher = WORD.matcher(caption.toLowerCase(Locale.ROOT));
      while (matcher.find()) {
        own.add(matcher.group());
      }
      own.forEach(word -> counts.merge(word, 1, Integer::sum));
    }
    counts.keySet().removeIf(this::saysNothing);
    List<Probe> all = new ArrayList<>();
    counts.forEach(
        (word, count) -> {
          boolean often = count > 1 && count * FREQUENT_PART >= captions.size();
          all.add(new Probe(often ? Probe.Kind.FREQUENT : Probe.Kind.RARE, word, count));
        });
    all.sort(Comparator.comparing(Probe::prompt));
    Stream<Probe> frequent =
        all.stream()
            .filter(word -> word.kind() == Probe.Kind.FREQUENT)
            .sorted(Comparator.comparing(word -> -word.captions()))
            .limit(most);
    Stream<Probe> rare =
        all.stream()
            .filter(word -> word.kind() == Probe.Kind.RARE)
            .sorted(Comparator.comparing(Probe::captions))
            .limit(most);
    return Stream.concat(frequent, rare).toList();
  }

  private boolean saysNothing(String word) {
    return word.length() < LEAST_LETTERS
        || WITHOUT_MEANING.contains(word)
        || Prompts.mentions(prompt, word)
        || (classPrompt != null && Prompts.mentions(classPrompt, word));
  }

  /** Common words, those first whose token embeddings are closest to the class's. */
  private Stream<String> neighbours(StableDiffusion model) {
    if (classPrompt == null) {
      return Stream.empty();
    }
    StableDiffusion.Reader reader = model.readers().get(0);
    Tokenizer tokenizer = Objects.requireNonNull(reader.tokenizer(), "a dry model");
    Tensor table =
        model.parameters(reader.component()).all().stream()
            .filter(each -> each.name().endsWith("token_embedding.weight"))
            .findFirst()
            .orElseThrow()
            .weight();
    float[] own = embedding(tokenizer, table, classPrompt);
    Map<String, Double> cosines = new HashMap<>();
    COMMON.forEach(
        word -> cosines.put(word, Likenesses.cosine(own, embedding(tokenizer, table, word))));
    return COMMON.stream()
        .filter(word -> !Prompts.mentions(classPrompt, word) && count(word) == 0)
        .sorted(Comparator.comparing(word -> -Objects.requireNonNull(cosines.get(word))));
  }

  /** The mean of the embeddings of a text's tokens. */
  private static float[] embedding(Tokenizer tokenizer, Tensor table, String text) {
    float[] sum = new float[(int) table.size(1)];
    long[] ids = tokenizer.encode(text);
    for (int i = 1; i < ids.length && ids[i] != tokenizer.endToken(); i++) {
      Tensor row = table.rows(ids[i], 1);
      float[] values = row.toFloats();
      row.release();
      for (int k = 0; k < sum.length; k++) {
        sum[k] += values[k];
      }
    }
    return sum;
  }
}
