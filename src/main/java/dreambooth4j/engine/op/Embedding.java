package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.Arrays;
import java.util.List;
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

  private static long[] rowsShape(Tensor ids, Parameter table) {
    long[] shape = Arrays.copyOf(ids.shape(), ids.rank() + 1);
    shape[ids.rank()] = table.shape()[1];
    return shape;
  }
}
