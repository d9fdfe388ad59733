package dreambooth4j.report;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.CropBox;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Prompts;
import dreambooth4j.data.Thumbnail;
import dreambooth4j.model.TokenCount;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What is seen of one instance picture before training.
 *
 * @param captions as they were written, or the file's name
 * @param wordings what they become, as the picture has them
 */
record PictureLook(
    Picture picture,
    ConceptConfig concept,
    List<String> captions,
    List<Wording> wordings,
    CropBox box,
    Thumbnail thumbnail) {
  /** The two prompts of one caption; that of the class may be empty. */
  record Wording(Prompt instance, Prompt classCaption) {}

  /**
   * A prompt and how much of it is read.
   *
   * @param count null where no tokenizer is at hand
   */
  record Prompt(String text, @Nullable TokenCount count) {
    private Prompt counted(Function<String, TokenCount> tokens) {
      return new Prompt(text, tokens.apply(text));
    }

    /** The end of the text that is not read. */
    String cutOff() {
      return count == null ? "" : count.cutOff();
    }

    /** The text without that. */
    String read() {
      return text.substring(0, text.length() - cutOff().length());
    }
  }

  /** With prompts whose tokens are not counted. */
  static PictureLook of(
      Picture picture,
      ConceptConfig concept,
      List<String> captions,
      CropBox box,
      Thumbnail thumbnail) {
    List<Wording> wordings =
        picture.wordings().stream()
            .map(
                each ->
                    new Wording(
                        new Prompt(each.instancePrompt(), null),
                        new Prompt(each.classCaption(), null)))
            .toList();
    return new PictureLook(picture, concept, captions, wordings, box, thumbnail);
  }

  /** The same with the tokens of every prompt counted. */
  PictureLook counted(Function<String, TokenCount> tokens) {
    List<Wording> counted =
        wordings.stream()
            .map(
                each ->
                    new Wording(each.instance.counted(tokens), each.classCaption.counted(tokens)))
            .toList();
    return new PictureLook(picture, concept, captions, counted, box, thumbnail);
  }

  Stream<Prompt> prompts() {
    return wordings.stream().flatMap(each -> Stream.of(each.instance, each.classCaption));
  }

  /**
   * Whether the caption itself names it, or the template that it is put into. Without a caption the
   * tokens take its place.
   */
  boolean mentions(String token) {
    String template = concept.instancePrompt();
    return captions.stream()
        .allMatch(
            caption ->
                (caption.isEmpty() && template.contains(Prompts.FILEWORDS))
                    || Prompts.mentions(template.replace(Prompts.FILEWORDS, caption), token));
  }
}
