package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.List;

/**
 * One tensor of what an optimizer remembers of a group of parameters: the layout that allocation,
 * rules, kernels and checkpoints share.
 *
 * @param name in checkpoints
 * @param perElements how many elements of the group's flat buffers share one of its elements: 1, or
 *     a block of 256 that has one scale; 0 where it is one number for the whole group
 */
public record StateTensor(String name, DType dtype, long perElements) {
  /** The number of steps taken. */
  static final StateTensor STEPS = new StateTensor("steps", DType.F32, 0);

  /** Elements of a block that has one scale where moments are held in 8 bits. */
  public static final int BLOCK = 256;

  /**
   * All that is remembered of a group whose moments are of this type, {@link DType#U8} for 8 bits.
   */
  public static List<StateTensor> layout(UpdateRule rule, DType moments) {
    List<StateTensor> all = new ArrayList<>(List.of(STEPS));
    for (UpdateRule.Remembered each : rule.moments()) {
      all.add(values(each, moments));
      if (moments == DType.U8) {
        all.add(scales(each));
      }
    }
    return all;
  }

  static StateTensor values(UpdateRule.Remembered moment, DType dtype) {
    return new StateTensor(moment.name(), dtype, 1);
  }

  static StateTensor scales(UpdateRule.Remembered moment) {
    return new StateTensor(moment.name() + "_scale", DType.F32, BLOCK);
  }

  /** Its elements beside flat buffers of so many. */
  public long count(long flatElements) {
    return perElements == 0 ? 1 : flatElements / perElements;
  }
}
