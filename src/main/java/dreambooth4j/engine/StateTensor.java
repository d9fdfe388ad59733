package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.List;

/**
 * One tensor of what an optimizer remembers of a group of parameters: the layout that allocation,
 * rules, kernels and checkpoints share.
 *
 * @param name in checkpoints
 * @param extent how many elements it has beside the group's
 */
public record StateTensor(String name, DType dtype, Extent extent) {
  /** The number of steps taken. */
  static final StateTensor STEPS = new StateTensor("steps", DType.F32, Extent.GROUP);

  /** Elements of a block that has one scale where moments are held in 8 bits. */
  public static final int BLOCK = 256;

  /** How many elements a state tensor has beside a group's. */
  public enum Extent {
    /** One for each element of the flat buffers. */
    ELEMENTS,
    /** One for each block of 256. */
    BLOCKS,
    /** One for the whole group. */
    GROUP,
    /** One for each row of each parameter, and for each element of a vector. */
    ROWS,
    /** One for each column of each parameter, and none of a vector. */
    COLUMNS;

    /** Elements beside so many of a group's flat buffers. */
    long of(Parameters parameters, long elements) {
      return switch (this) {
        case ELEMENTS -> elements;
        case BLOCKS -> elements / BLOCK;
        case GROUP -> 1;
        case ROWS, COLUMNS ->
            Math.max(1, parameters.all().stream().mapToLong(each -> of(each.shape())).sum());
      };
    }

    /** Whether it has a part for each process that has a stretch of the flat buffers. */
    public boolean isCut() {
      return this == ELEMENTS || this == BLOCKS;
    }

    /** Elements beside one parameter of this shape in memory: {@link #ROWS}, {@link #COLUMNS}. */
    long of(long[] shape) {
      if (shape.length == 1) {
        return this == ROWS ? shape[0] : 0;
      }
      int last = lastAxis(shape);
      return Tensor.count(shape) / shape[this == ROWS ? last : last - 1];
    }

    /** Which axis in memory is the last of files; that before it is files' last but one. */
    static int lastAxis(long[] shape) {
      return shape.length == 4 ? 2 : shape.length - 1;
    }
  }

  /**
   * All that is remembered of a group whose moments are of this type, {@link DType#U8} for 8 bits.
   */
  public static List<StateTensor> layout(UpdateRule rule, DType moments) {
    List<StateTensor> all = new ArrayList<>(List.of(STEPS));
    for (UpdateRule.GroupNumber each : rule.numbers()) {
      all.add(number(each));
    }
    for (UpdateRule.Remembered each : rule.moments()) {
      all.add(values(each, moments));
      if (moments == DType.U8) {
        all.add(scales(each));
      }
    }
    if (rule instanceof TensorRule of) {
      all.addAll(of.ofTensors());
    }
    return all;
  }

  static StateTensor number(UpdateRule.GroupNumber number) {
    return new StateTensor(number.name(), DType.F64, Extent.GROUP);
  }

  static StateTensor values(UpdateRule.Remembered moment, DType dtype) {
    return new StateTensor(moment.name(), dtype, Extent.ELEMENTS);
  }

  static StateTensor scales(UpdateRule.Remembered moment) {
    return new StateTensor(moment.name() + "_scale", DType.F32, Extent.BLOCKS);
  }
}
