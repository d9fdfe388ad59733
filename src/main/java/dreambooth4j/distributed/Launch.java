package dreambooth4j.distributed;

import java.util.List;
import java.util.Map;

/**
 * How this process was started as one of several, as far as its environment tells: so that a
 * command line that goes on with their work starts as many again.
 *
 * @param before words before the command
 * @param after arguments after its own
 * @param byHand whether each rank is started by somebody or something that is not known here
 */
public record Launch(List<String> before, List<String> after, boolean byHand) {
  /** The number of processes that {@code --nproc} started, in the environment of each. */
  static final String NPROC = "DREAMBOOTH4J_NPROC";

  /** One process by itself. */
  public static final Launch ALONE = new Launch(List.of(), List.of(), false);

  /** What these variables say. */
  public static Launch of(Map<String, String> environment) {
    RankEnvironment self = RankEnvironment.of(environment);
    if (self == null) {
      return ALONE;
    }
    String processes = environment.get(NPROC);
    if (processes != null) {
      return new Launch(List.of(), List.of("--nproc", processes), false);
    }
    boolean torchrun = environment.containsKey("TORCHELASTIC_RUN_ID");
    return torchrun && self.here() == self.size()
        ? new Launch(
            List.of("torchrun", "--no-python", "--nproc-per-node=" + self.size()), List.of(), false)
        : new Launch(List.of(), List.of(), true);
  }
}
