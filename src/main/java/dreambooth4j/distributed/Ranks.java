package dreambooth4j.distributed;

import dreambooth4j.Problem;
import dreambooth4j.engine.Peers;
import java.util.List;
import java.util.Map;

/**
 * The processes that train one model together, seen from one of them. Each has a number, its rank,
 * from 0; rank 0 alone writes files and reports. The calls are collective: every rank makes the
 * same ones in the same order, and each waits for the others. When another rank is lost, a call
 * throws a {@link Problem} that names it.
 *
 * <p>One process by itself is {@link #alone}, for which all of this is nothing.
 */
public interface Ranks extends Peers, AutoCloseable {
  /** One process by itself. */
  static Ranks alone() {
    return Absent.ALONE;
  }

  /** The first of so many on one machine that are not there: for plans of what each would need. */
  static Ranks planned(int size) {
    return new Absent(size);
  }

  /**
   * The ranks that these variables of the environment speak of, as torchrun sets them; waits until
   * all have come. Without them, or with a WORLD_SIZE of 1, {@link #alone}.
   *
   * @throws Problem where the variables contradict each other, or a rank does not come
   */
  static Ranks of(Map<String, String> environment) {
    RankEnvironment found = RankEnvironment.of(environment);
    return found == null ? alone() : ProcessGroups.join(found);
  }

  /**
   * Whether a process with these variables is the one of its ranks that reports: rank 0, or the
   * only one. Waits for nobody.
   */
  static boolean reports(Map<String, String> environment) {
    return !environment.containsKey(RankEnvironment.SIZE)
        || environment.getOrDefault(RankEnvironment.RANK, "0").strip().equals("0");
  }

  /** How many of them share this machine and its memory, as far as the launcher says so. */
  int here();

  /** Whether this is rank 0. */
  default boolean isFirst() {
    return rank() == 0;
  }

  /** What each rank says, in their order. */
  List<String> gather(String mine);

  /** Whether any rank says so. */
  boolean any(boolean mine);

  /**
   * Whether this rank is the one that saves what was learnt: rank 0, or where it is lost, the first
   * of those that are left. Not collective.
   */
  boolean saves();

  /** Tells the other ranks that this one ends before they do, and why. Not collective. */
  void fail(String why);

  /** Ends it; after {@link #fail}, or when all ranks are at the end. Not collective. */
  @Override
  void close();

  /** Waits until all ranks are here. */
  default void await() {
    any(false);
  }

  /**
   * Makes sure that all ranks have the same.
   *
   * @param what is named where they do not
   * @throws Problem on all ranks, where one differs from rank 0
   */
  default void requireSame(String what, String mine) {
    List<String> all = gather(mine);
    for (int i = 1; i < all.size(); i++) {
      if (!all.get(i).equals(all.get(0))) {
        throw Problem.usage(
            "%s of rank %d is not that of rank 0 ('%s', but '%s'): all ranks must be started with the same configuration and see the same files"
                .formatted(what, i, all.get(i), all.get(0)));
      }
    }
  }
}
