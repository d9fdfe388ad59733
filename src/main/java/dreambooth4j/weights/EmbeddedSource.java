package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeMap;

/** A model that reads words which its own tokenizer lacks, by vectors of theirs. */
public final class EmbeddedSource extends DerivedSource {
  private final List<TokenEmbedding> embeddings;

  /**
   * A model with these words too.
   *
   * @throws Problem when two of them are the same
   */
  public EmbeddedSource(ModelSource base, List<TokenEmbedding> more) {
    super(base);
    embeddings = new ArrayList<>(base.embeddings());
    embeddings.addAll(more);
    Set<String> seen = new HashSet<>();
    for (TokenEmbedding each : embeddings) {
      if (!seen.add(each.token().toLowerCase(Locale.ROOT))) {
        throw Problem.usage(
            "%s: two embeddings are for this word: give one of them another"
                .formatted(each.token()));
      }
    }
  }

  @Override
  public List<TokenEmbedding> embeddings() {
    return List.copyOf(embeddings);
  }

  /** A tokenizer that reads other words is another one. */
  @Override
  public String fingerprint(Component component) {
    String own = base.fingerprint(component);
    boolean reads = pipeline().textEncoders().stream().anyMatch(e -> e.tokenizer() == component);
    if (!reads) {
      return own;
    }
    MessageDigest digest = Sha256.digest();
    digest.update(own.getBytes(StandardCharsets.UTF_8));
    for (TokenEmbedding each : embeddings) {
      digest.update((each.token() + "\n" + each.vectors()).getBytes(StandardCharsets.UTF_8));
      for (float[] values : new TreeMap<>(each.values()).values()) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES);
        bytes.asFloatBuffer().put(values);
        digest.update(bytes);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }
}
