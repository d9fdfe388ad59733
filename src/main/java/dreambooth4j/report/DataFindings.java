package dreambooth4j.report;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Likeness;
import dreambooth4j.data.Prompts;
import dreambooth4j.model.TokenCount;
import dreambooth4j.report.Finding.Case;
import dreambooth4j.report.Finding.Kind;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/** Looks over pictures and captions for what spoils a training, or may. */
final class DataFindings {
  /** A few percent are seen by nobody. */
  private static final double ENLARGED = 1.05;

  /** Four pixels are trained for each that the picture has. */
  private static final double TINY = 2;

  /** What two pictures have in common may be chance. */
  private static final int FEWEST_TO_SHARE = 3;

  private static final int LONGEST_EXCERPT = 60;

  private final List<PictureLook> looks;
  private final List<Finding> findings = new ArrayList<>();

  private DataFindings(List<PictureLook> looks) {
    this.looks = looks;
  }

  /** What is found, the gravest first. */
  static List<Finding> of(List<PictureLook> looks, List<Concept.Refused> refused) {
    DataFindings all = new DataFindings(looks);
    all.unreadable(refused);
    all.longPrompts();
    Map<ConceptConfig, List<PictureLook>> concepts = new LinkedHashMap<>();
    looks.forEach(
        look -> concepts.computeIfAbsent(look.concept(), c -> new ArrayList<>()).add(look));
    concepts.forEach(
        (concept, its) -> {
          all.missingClassTokens(concept, its);
          all.equalCaptions(concept, its);
          all.sharedTags(concept, its);
        });
    all.sizes();
    all.nearDuplicates();
    return List.copyOf(all.findings);
  }

  private void unreadable(List<Concept.Refused> refused) {
    List<Case> cases = refused.stream().map(each -> new Case(each.file(), each.reason())).toList();
    add(Kind.UNREADABLE, pictures(cases) + " cannot be trained; train would stop there", cases);
  }

  private void longPrompts() {
    List<Case> cases = new ArrayList<>();
    int limit = 0;
    for (PictureLook look : looks) {
      for (PictureLook.Prompt prompt : (Iterable<PictureLook.Prompt>) look.prompts()::iterator) {
        TokenCount count = prompt.count();
        if (count != null && count.isCut()) {
          limit = count.limit();
          String detail =
              "%d tokens, not read: %s".formatted(count.tokens(), excerpt(count.cutOff()));
          cases.add(new Case(look.picture().file(), detail));
          break;
        }
      }
    }
    add(
        Kind.LONG_PROMPT,
        "%s with a prompt of more than the %d tokens that the text encoder reads"
            .formatted(pictures(cases), limit),
        cases);
  }

  private void missingClassTokens(ConceptConfig concept, List<PictureLook> its) {
    String token = concept.classImages().token();
    List<Case> cases =
        its.stream()
            .filter(look -> !look.mentions(token))
            .map(look -> new Case(look.picture().file(), ""))
            .toList();
    if (!token.isEmpty()) {
      add(
          Kind.NO_CLASS_TOKEN,
          "%s of %d without the class token '%s' in the caption: it is put into the class caption, but the instance prompt does not say what the subject is"
              .formatted(pictures(cases), its.size(), token),
          cases);
    }
  }

  private void equalCaptions(ConceptConfig concept, List<PictureLook> its) {
    boolean asked = concept.instancePrompt().contains(Prompts.FILEWORDS);
    if (asked && its.size() > 1 && prompts(its).distinct().count() == 1) {
      findings.add(
          new Finding(
              Kind.EQUAL_CAPTIONS,
              "all %d pictures of %s have the prompt '%s': whatever else they share will be bound to the subject; say in the captions what does not belong to it"
                  .formatted(
                      its.size(), concept.name(), excerpt(its.get(0).picture().instancePrompt())),
              List.of()));
    }
  }

  private void sharedTags(ConceptConfig concept, List<PictureLook> its) {
    boolean equal = prompts(its).distinct().count() == 1;
    if (its.size() < FEWEST_TO_SHARE || equal) {
      return;
    }
    Set<String> shared = null;
    for (String prompt : (Iterable<String>) prompts(its)::iterator) {
      Set<String> tags = tags(prompt);
      if (shared == null) {
        shared = tags;
      } else {
        shared.retainAll(tags);
      }
    }
    for (String tag : shared == null ? Set.<String>of() : shared) {
      if (!Prompts.mentions(tag, concept.instanceToken())
          && !Prompts.mentions(tag, concept.classImages().token())) {
        findings.add(
            new Finding(
                Kind.SHARED_TAG,
                "the tag '%s' is in every prompt of %s: it will be bound to the subject. That is right for what always belongs to it; else leave it out of some, with pictures to match"
                    .formatted(excerpt(tag), concept.name()),
                List.of()));
      }
    }
  }

  private static Stream<String> prompts(List<PictureLook> its) {
    return its.stream().flatMap(look -> look.wordings().stream()).map(w -> w.instance().text());
  }

  /** The tags of a prompt in small letters. */
  static Set<String> tags(String prompt) {
    Set<String> tags = new LinkedHashSet<>();
    for (String tag : prompt.toLowerCase(Locale.ROOT).split(",", -1)) {
      if (!tag.isBlank()) {
        tags.add(tag.strip());
      }
    }
    return tags;
  }

  private void sizes() {
    List<Case> tiny = new ArrayList<>();
    List<Case> enlarged = new ArrayList<>();
    for (PictureLook look : looks) {
      double scale = look.box().scale();
      if (scale > ENLARGED) {
        Case each =
            new Case(look.picture().file(), String.format(Locale.ROOT, "%.2f times", scale));
        (scale > TINY ? tiny : enlarged).add(each);
      }
    }
    add(
        Kind.TINY,
        "%s enlarged to over twice the size, which trains blur: leave them out or lower resolution"
            .formatted(pictures(tiny)),
        tiny);
    add(
        Kind.ENLARGED,
        pictures(enlarged) + " enlarged to fill the bucket, which softens them",
        enlarged);
  }

  private void nearDuplicates() {
    List<Case> cases = new ArrayList<>();
    for (int i = 1; i < looks.size(); i++) {
      Likeness likeness = looks.get(i).thumbnail().likeness();
      Path file = looks.get(i).picture().file();
      for (int j = 0; j < i; j++) {
        Path first = looks.get(j).picture().file();
        // Concepts may share a folder.
        if (!first.equals(file) && likeness.isNear(looks.get(j).thumbnail().likeness())) {
          cases.add(new Case(file, "like " + first.getFileName()));
          break;
        }
      }
    }
    add(
        Kind.NEAR_DUPLICATE,
        pictures(cases)
            + " nearly identical to another picture, which gives that motif twice the"
            + " weight in training",
        cases);
  }

  private void add(Kind kind, String text, List<Case> cases) {
    if (!cases.isEmpty()) {
      findings.add(new Finding(kind, text, List.copyOf(cases)));
    }
  }

  private static String pictures(List<Case> cases) {
    return cases.size() + (cases.size() == 1 ? " picture" : " pictures");
  }

  private static String excerpt(String text) {
    return text.codePointCount(0, text.length()) <= LONGEST_EXCERPT
        ? text
        : text.substring(0, text.offsetByCodePoints(0, LONGEST_EXCERPT - 1)) + "…";
  }
}
