package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Gathered gradients in pieces that are complete one after the other during backward, so that they
 * can be sent before it ends. The pieces go from the end of the flat buffers to their start, about
 * as backward does, and are handed out in this order whatever is complete first: it is the same in
 * every process.
 */
public final class GradientBuckets {
  private record Bucket(Parameters of, List<Parameter> parameters, long from, long end) {
    Tensor gradients() {
      parameters.forEach(Parameter::gradient); // one that no backward has reached is zero
      return of.gradientSlice(from, end - from);
    }
  }

  private static final int PIECES = 8;

  private final List<Bucket> buckets = new ArrayList<>();
  private int next;

  /**
   * Of these groups, whose buffers are passed in this order.
   *
   * @param most a piece has about so many bytes, or an eighth of all where that is less
   */
  GradientBuckets(List<Parameters> groups, long most) {
    long all = groups.stream().mapToLong(each -> each.flatCount() * each.dtype().bytes()).sum();
    long bytes = Math.min(most, all / PIECES);
    for (Parameters group : groups) {
      List<Parameter> trained = group.all().stream().filter(Parameter::isTrainable).toList();
      List<Parameter> piece = new ArrayList<>();
      long size = 0;
      for (int i = trained.size() - 1; i >= 0; i--) {
        piece.add(trained.get(i));
        size += group.span(trained.get(i)).length() * group.dtype().bytes();
        boolean gap = i == 0 || !touch(group, trained.get(i - 1), trained.get(i));
        if (size >= bytes || gap) {
          Parameters.Span last = group.span(piece.get(0));
          buckets.add(
              new Bucket(
                  group, List.copyOf(piece), trained.get(i).offset(), last.from() + last.length()));
          piece.clear();
          size = 0;
        }
      }
    }
  }

  private static boolean touch(Parameters group, Parameter first, Parameter second) {
    Parameters.Span span = group.span(first);
    return span.from() + span.length() == second.offset();
  }

  /** The last backward of a step begins: a gradient is complete once it has passed its op. */
  public void begin() {
    next = 0;
    buckets.forEach(each -> each.parameters.forEach(Parameter::expectGradient));
  }

  /**
   * Hands out what is complete, called after the backward of an op: views, which the user releases.
   */
  public void complete(Consumer<Tensor> user) {
    while (next < buckets.size()
        && buckets.get(next).parameters.stream().allMatch(Parameter::isReached)) {
      Bucket bucket = buckets.get(next++);
      user.accept(bucket.gradients());
      bucket.parameters.forEach(each -> each.setSent(true));
    }
  }

  /** Hands out the rest: backward is at its end, or there was none. */
  public void rest(Consumer<Tensor> user) {
    while (next < buckets.size()) {
      user.accept(buckets.get(next++).gradients());
    }
    buckets.forEach(each -> each.parameters.forEach(one -> one.setSent(false)));
  }
}
