package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ObjIntConsumer;

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

  /** In place of a process' number: all of them need the piece. */
  public static final int ALL = -1;

  private static final int PIECES = 8;

  private final List<Bucket> buckets = new ArrayList<>();
  private final Shards shards;
  private int next;

  /**
   * Of these groups, whose buffers are passed in this order.
   *
   * @param most a piece has about so many bytes, or an eighth of all where that is less
   * @param shards who updates what
   */
  GradientBuckets(List<Parameters> groups, long most, Shards shards) {
    this.shards = shards;
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
   * Hands out what is complete, called after the backward of an op.
   *
   * @param user gets views, which it releases, and the number of the process that needs them, or
   *     {@link #ALL}
   */
  public void complete(ObjIntConsumer<Tensor> user) {
    while (next < buckets.size()
        && buckets.get(next).parameters.stream().allMatch(Parameter::isReached)) {
      Bucket bucket = buckets.get(next++);
      hand(bucket, user);
      bucket.parameters.forEach(each -> each.setSent(true));
    }
  }

  /** Hands out the rest: backward is at its end, or there was none. */
  public void rest(ObjIntConsumer<Tensor> user) {
    while (next < buckets.size()) {
      hand(buckets.get(next++), user);
    }
    buckets.forEach(each -> each.parameters.forEach(one -> one.setSent(false)));
  }

  /** Whole where all need it, otherwise cut where another process' stretch begins. */
  private void hand(Bucket bucket, ObjIntConsumer<Tensor> user) {
    Tensor gradients = bucket.gradients();
    if (!shards.areCut()) {
      user.accept(gradients, ALL);
      return;
    }
    shards.cut(gradients, bucket.from, bucket.of.flatCount(), user);
    gradients.release();
  }
}
