package dreambooth4j.engine;

import org.jspecify.annotations.Nullable;

/**
 * A number that is remembered of each weight of a group, or of a part of it.
 *
 * @param code what values stand for where they are held in 8 bits
 * @param values F32 or F64 [n], or U8 codes
 * @param scales of codes, F32 [n / 256]; otherwise null
 */
public record Moment(DynamicCode code, Tensor values, @Nullable Tensor scales) {
  /** That of a part of the group, which is whole blocks: views, to be {@link #release}d. */
  public Moment part(Parameters.Span span) {
    Tensor all = scales;
    return new Moment(
        code,
        values.rows(span.from(), span.length()),
        all == null
            ? null
            : all.rows(span.from() / StateTensor.BLOCK, span.length() / StateTensor.BLOCK));
  }

  /** Lets go of the tensors. */
  public void release() {
    values.release();
    if (scales != null) {
      scales.release();
    }
  }
}
