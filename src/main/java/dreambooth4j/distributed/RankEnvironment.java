package dreambooth4j.distributed;

import dreambooth4j.Problem;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a launcher of several processes says in the environment of each, as torchrun does.
 *
 * @param rank RANK, from 0
 * @param size WORLD_SIZE
 * @param here LOCAL_WORLD_SIZE, how many of them are on this machine; 1 where nothing says so
 * @param host MASTER_ADDR, where the ranks meet
 * @param port MASTER_PORT
 * @param storeIsLaunchers whether the launcher listens there itself, as torchrun does; rank 0
 *     otherwise
 * @param attempt how often the launcher has started the ranks anew: each attempt meets by itself
 */
record RankEnvironment(
    int rank, int size, int here, String host, int port, boolean storeIsLaunchers, String attempt) {
  static final String RANK = "RANK";
  static final String SIZE = "WORLD_SIZE";
  static final String HERE = "LOCAL_WORLD_SIZE";
  static final String HOST = "MASTER_ADDR";
  static final String PORT = "MASTER_PORT";
  private static final int MOST_RANKS = 65_536;

  /** Null where the process is alone. */
  static @Nullable RankEnvironment of(Map<String, String> environment) {
    if (!environment.containsKey(SIZE)) {
      return null;
    }
    int size = number(environment, SIZE, 1, MOST_RANKS);
    if (size == 1) {
      return null;
    }
    return new RankEnvironment(
        number(environment, RANK, 0, size - 1),
        size,
        environment.containsKey(HERE) ? number(environment, HERE, 1, size) : 1,
        required(environment, HOST),
        number(environment, PORT, 1, 65_535),
        "True".equals(environment.get("TORCHELASTIC_USE_AGENT_STORE")),
        environment.getOrDefault("TORCHELASTIC_RESTART_COUNT", "0"));
  }

  /** Whether this rank is what the others connect to. */
  boolean listens() {
    return rank == 0 && !storeIsLaunchers;
  }

  private static int number(Map<String, String> environment, String name, int least, int most) {
    String text = required(environment, name);
    int value;
    try {
      value = Integer.parseInt(text.strip());
    } catch (NumberFormatException e) {
      value = least - 1;
    }
    if (value < least || value > most) {
      throw Problem.usage(
          "the environment has %s=%s, which must be a number from %d to %d: start the ranks with torchrun or --nproc, or unset %s for one process"
              .formatted(name, text, least, most, SIZE));
    }
    return value;
  }

  private static String required(Map<String, String> environment, String name) {
    String text = environment.get(name);
    if (text == null || text.isBlank()) {
      throw Problem.usage(
          "the environment has %s=%s and no %s: start the ranks with torchrun or --nproc, or unset %s for one process"
              .formatted(SIZE, environment.get(SIZE), name, SIZE));
    }
    return text.strip();
  }
}
