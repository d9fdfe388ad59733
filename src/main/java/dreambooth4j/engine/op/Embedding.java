package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;

/**
 * Rows of a table by their numbers. ids I64 of any shape, table [V, C], y [ids.., C]; keeps ids.
 */
public final class Embedding {
  private Embedding() {}

  /** table[ids]; {@code ids} are all within the table. */
  public static Var apply(Tape tape, Tensor ids, Parameter table) {
    Tensor y =
        tape.arena()
            .compute(
                "embedding",
                () ->
                    tape.arena().isDry()
                        ? Dry.of(table.weight().handle(), rowsShape(ids, table))
                        : torch.embedding(table.weight().handle(), ids.handle()));
    return tape.record(
        "embedding",
        y,
        table.isTrainable(),
        List.of(ids),
        dy ->
            Native.run(
                "embedding.backward",
                () ->
                    table
                        .gradient()
                        .handle()
                        .index_add_(0, ids.handle().view(-1), dy.handle().view(-1, dy.size(-1)))));
  }

  /**
   * As the other one, of two tables one behind the other: ids from V on are rows of {@code added},
   * [A, C], whose type may be another than the first's, which y has. No copy of a table is made.
   */
  public static Var apply(Tape tape, Tensor ids, Parameter table, Parameter added) {
    long known = table.fileShape()[0];
    Tensor y =
        tape.arena()
            .compute(
                "embedding",
                () ->
                    tape.arena().isDry()
                        ? Dry.of(table.weight().handle(), rowsShape(ids, table))
                        : rows(ids.handle(), known, table, added));
    return tape.record(
        "embedding",
        y,
        table.isTrainable() || added.isTrainable(),
        List.of(ids),
        dy ->
            Native.run(
                "embedding.backward",
                () -> {
                  org.bytedeco.pytorch.Tensor all = ids.handle().view(-1);
                  org.bytedeco.pytorch.Tensor part = dy.handle().view(-1, dy.size(-1));
                  org.bytedeco.pytorch.Tensor beyond = all.ge(new Scalar(known));
                  if (table.isTrainable()) {
                    gather(table, own(all, known), part, beyond);
                  }
                  if (added.isTrainable()) {
                    gather(added, behind(all, known), part, all.lt(new Scalar(known)));
                  }
                }));
  }

  private static org.bytedeco.pytorch.Tensor rows(
      org.bytedeco.pytorch.Tensor ids, long known, Parameter table, Parameter added) {
    org.bytedeco.pytorch.Tensor first = table.weight().handle();
    org.bytedeco.pytorch.Tensor second = added.weight().handle().to(first.scalar_type());
    return torch.where(
        ids.ge(new Scalar(known)).unsqueeze(-1),
        torch.embedding(second, behind(ids, known)),
        torch.embedding(first, own(ids, known)));
  }

  /** The ids within the first table; another's stands for its last row. */
  private static org.bytedeco.pytorch.Tensor own(org.bytedeco.pytorch.Tensor ids, long known) {
    return ids.clamp_max(new Scalar(known - 1));
  }

  /** The ids within the second table; another's stands for its first row. */
  private static org.bytedeco.pytorch.Tensor behind(org.bytedeco.pytorch.Tensor ids, long known) {
    return ids.sub(new Scalar(known)).clamp_min(new Scalar(0));
  }

  /** Adds the gradients of rows to theirs, but of those that are of the other table. */
  private static void gather(
      Parameter table,
      org.bytedeco.pytorch.Tensor rows,
      org.bytedeco.pytorch.Tensor part,
      org.bytedeco.pytorch.Tensor others) {
    org.bytedeco.pytorch.Tensor gradient = table.gradient().handle();
    gradient.index_add_(
        0, rows, part.masked_fill(others.unsqueeze(-1), new Scalar(0)).to(gradient.scalar_type()));
  }

  private static long[] rowsShape(Tensor ids, Parameter table) {
    long[] shape = Arrays.copyOf(ids.shape(), ids.rank() + 1);
    shape[ids.rank()] = table.shape()[1];
    return shape;
  }
}
