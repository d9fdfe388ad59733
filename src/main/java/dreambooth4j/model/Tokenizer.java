package dreambooth4j.model;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.util.Utils;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Platform;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ComponentFiles;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.LongStream;

/**
 * CLIP's tokenizer, as transformers has it: text to token numbers. It holds native memory: close
 * it.
 */
public final class Tokenizer implements AutoCloseable {
  private static final String LENGTH_KEY = "model_max_length";
  private static final int DEFAULT_LENGTH = 77;

  /** transformers writes 1e30 where no length was set. */
  private static final double UNLIMITED = 1e6;

  static {
    // The library must neither fetch native code nor report home.
    System.setProperty("RUST_FLAVOR", "cpu");
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("OPT_OUT_TRACKING", "true");
  }

  private final String where;
  private final HuggingFaceTokenizer library;
  private final int length;
  private final long begin;
  private final long end;
  private final long pad;
  private final AddedTokens added;
  private final long firstAdded;

  private Tokenizer(TokenizerJson json, ObjectNode settings, AddedTokens added, long firstAdded) {
    this.added = added;
    this.firstAdded = firstAdded;
    this.where = json.where();
    this.length = length(settings);
    this.begin = json.special(special(settings, "bos_token", "<|startoftext|>"));
    this.end = json.special(special(settings, "eos_token", "<|endoftext|>"));
    this.pad = json.special(special(settings, "pad_token", "<|endoftext|>"));
    byte[] text = json.text().getBytes(StandardCharsets.UTF_8);
    requireLibrary();
    try {
      library =
          HuggingFaceTokenizer.newInstance(
              new ByteArrayInputStream(text),
              Map.of("truncation", "do_not_truncate", "padding", "false"));
    } catch (IOException | RuntimeException e) {
      throw damaged(where, e);
    }
  }

  /**
   * Reads a tokenizer's files: {@code tokenizer.json}, or {@code vocab.json} and {@code
   * merges.txt}; beside them {@code tokenizer_config.json} and, in older models, {@code
   * special_tokens_map.json}, which has the last word.
   *
   * @throws Problem when one of them is missing or damaged
   */
  public static Tokenizer open(ComponentFiles files) {
    return open(files, AddedTokens.NONE);
  }

  /** As {@link #open(ComponentFiles)}, with more words, for whoever counts tokens. */
  public static Tokenizer open(ComponentFiles files, AddedTokens added) {
    return new Tokenizer(
        TokenizerJson.read(files), settings(files), added, TokenizerParts.MOST_IDS);
  }

  /** It unpacks itself when it is first used. */
  private static void requireLibrary() {
    try {
      LibUtils.checkStatus();
    } catch (RuntimeException e) {
      throw Platform.notUnpacked(
          Utils.getEngineCacheDir(),
          String.valueOf(e.getMessage()),
          "DJL_CACHE_DIR=FOLDER in the environment");
    }
  }

  private static ObjectNode settings(ComponentFiles files) {
    ObjectNode settings = JsonNodeFactory.instance.objectNode();
    for (String name : new String[] {"tokenizer_config.json", "special_tokens_map.json"}) {
      boolean isOverruled = name.startsWith("special") && settings.has("added_tokens_decoder");
      if (files.has(name) && !isOverruled) {
        settings.setAll(files.json(name));
      }
    }
    return settings;
  }

  private static int length(ObjectNode settings) {
    double length = settings.path(LENGTH_KEY).asDouble(DEFAULT_LENGTH);
    return length >= 2 && length < UNLIMITED ? (int) length : DEFAULT_LENGTH;
  }

  /**
   * What a text encoder takes.
   *
   * @param vocabulary how many tokens it knows, numbered from 0
   * @param positions how many it reads at once
   * @param config names the file that says so
   */
  public record Limits(int vocabulary, int positions, String config) {}

  /**
   * As {@link #open(ComponentFiles)}, for a text encoder.
   *
   * @param added words whose tokens are numbered behind those that the text encoder knows
   * @throws Problem when it gives what the text encoder cannot take, too
   */
  public static Tokenizer open(ComponentFiles files, Limits limits, AddedTokens added) {
    TokenizerJson json = TokenizerJson.read(files);
    ObjectNode settings = settings(files);
    int length = length(settings);
    if (length > limits.positions) {
      throw Problem.data(
          "%s: %s is %d, but %s says that max_position_embeddings is %d"
              .formatted(
                  files.where(Component.TOKENIZER.configFile()),
                  LENGTH_KEY,
                  length,
                  limits.config,
                  limits.positions));
    }
    json.requireWithin(limits.vocabulary, limits.config);
    return new Tokenizer(json, settings, added, limits.vocabulary);
  }

  /** A special token's text, which is a string or an object with its content. */
  private static String special(ObjectNode settings, String key, String usual) {
    JsonNode token = settings.path(key);
    return token.path("content").asText(token.asText(usual));
  }

  /** How many tokens a text fills: {@code model_max_length}, 77 as a rule. */
  public int length() {
    return length;
  }

  /** The number of the token that ends a text. */
  public long endToken() {
    return end;
  }

  /** The number of the token that fills up a row: the end token in SD 1, {@code !} in SD 2. */
  public long padToken() {
    return pad;
  }

  /**
   * The text's tokens between a begin and an end token, cut at {@link #length} or padded to it.
   *
   * @return {@link #length} numbers
   */
  public long[] encode(String text) {
    return encode(text, 1);
  }

  /**
   * The text's tokens in windows, for a text encoder that reads each by itself: kohya's rule. The
   * text is cut or padded to what the windows hold together; each window has its part of that
   * between a begin and an end token. Where the pad token is another than the end token, a window
   * that is not full ends in padding, and one that is all padding begins with the end token.
   *
   * @return {@code windows} × {@link #length} numbers
   */
  public long[] encode(String text, int windows) {
    return encode(words(text), windows);
  }

  /** Whether the text has a word that was added, which may be of more tokens than letters. */
  public boolean hasAdded(String text) {
    return added.areIn(text);
  }

  /** The text's tokens, however many, without begin and end. */
  public long[] words(String text) {
    return added.pieces(text).stream().flatMapToLong(each -> LongStream.of(ids(each))).toArray();
  }

  private long[] ids(AddedTokens.Piece piece) {
    long first = firstAdded + piece.first();
    return piece.isAdded()
        ? LongStream.range(first, first + piece.count()).toArray()
        : encoding(piece.text()).getIds();
  }

  /** As {@link #encode(String, int)}, of {@link #words}. */
  public long[] encode(long[] words, int windows) {
    int body = length - 2;
    int kept = Math.min(words.length, windows * body);
    long[] whole = new long[windows * body + 2];
    Arrays.fill(whole, pad);
    System.arraycopy(words, 0, whole, 1, kept);
    whole[kept + 1] = end;
    long[] rows = new long[windows * length];
    for (int i = 0; i < windows; i++) {
      int first = i * length;
      int last = first + length - 1;
      rows[first] = begin;
      System.arraycopy(whole, 1 + i * body, rows, first + 1, body);
      boolean usesSavedWeights = rows[last - 1] != pad && rows[last - 1] != end;
      rows[last] = usesSavedWeights ? end : whole[whole.length - 1];
      if (windows > 1 && rows[first + 1] == pad) {
        rows[first + 1] = end;
      }
    }
    return rows;
  }

  /** How many tokens the text has, and what of it does not fit into so many windows. */
  public TokenCount count(String text, int windows) {
    int limit = windows * (length - 2);
    int tokens = 0;
    int cut = -1;
    for (AddedTokens.Piece piece : added.pieces(text)) {
      int before = tokens;
      tokens += ids(piece).length;
      if (cut < 0 && tokens > limit) {
        cut = piece.start() + (piece.isAdded() ? 0 : start(piece.text(), limit - before));
      }
    }
    return new TokenCount(tokens, limit, cut < 0 ? "" : text.substring(cut).strip());
  }

  /** Where a token of a text begins. The library counts code points. */
  private int start(String text, int token) {
    return text.offsetByCodePoints(0, encoding(text).getCharTokenSpans()[token].getStart());
  }

  private Encoding encoding(String text) {
    try {
      return library.encode(text, false, false);
    } catch (RuntimeException e) {
      // Such as an unknown token that the vocabulary lacks: the library finds out when it meets
      // one.
      throw damaged(where, e);
    }
  }

  private static Problem damaged(String where, Exception e) {
    return new Problem(Problem.Kind.DATA, where + ": not a tokenizer: " + e.getMessage(), e);
  }

  /** Frees the native memory. */
  @Override
  public void close() {
    library.close();
  }
}
