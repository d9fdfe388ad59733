package dreambooth4j.distributed;

import dreambooth4j.Problem;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Notices that another rank is lost. Each rank counts up a number at the meeting place every second
 * and looks at those of the others: one that stands still for half a minute was killed, stopped or
 * cut off. The first that notices says so there, so that all name the same.
 */
final class Heartbeats {
  /** Nanoseconds of silence after which a rank counts as lost; all other times are parts of it. */
  static final long PATIENCE = TimeUnit.SECONDS.toNanos(30);

  private static final String LOST = "lost";
  private static final String ENDED = "ended";

  /** A rank that the others go on without; {@code silent}: it has not said so itself. */
  private record Lost(int rank, boolean silent, String why) {
    static Lost of(String text) {
      String[] parts = text.split(" ", 3);
      return new Lost(Integer.parseInt(parts[0]), parts[1].equals("silent"), parts[2]);
    }

    @Override
    public String toString() {
      return rank + (silent ? " silent " : " said ") + why;
    }
  }

  private final long patience;

  /** The same where a connection has broken already: a process that ended says nothing more. */
  private final long patienceWhenBroken;

  private final long every;
  private final long glance;
  private final long toExplain;
  private final long toPart;
  private final MeetingPlace place;
  private final RankEnvironment self;
  private final List<String> who;
  private final String[] beats;
  private final long[] since;
  private final Thread thread = new Thread(this::run, "heartbeats");
  private volatile long answered = System.nanoTime();
  private volatile boolean broken;
  private volatile boolean ending;
  private volatile boolean still;
  private volatile @Nullable String failure;
  private volatile @Nullable Lost lost;
  private long checked = System.nanoTime();

  /** When the others' numbers were last read: what is silent is so up to then. */
  private volatile long heard = System.nanoTime();

  /**
   * Not begun.
   *
   * @param place a connection of its own
   * @param who each rank in words; all have {@linkplain #first appeared}
   * @param patience nanoseconds of silence after which a rank counts as lost
   */
  Heartbeats(MeetingPlace place, RankEnvironment self, List<String> who, long patience) {
    this.patience = patience;
    patienceWhenBroken = patience / 5;
    every = patience / 30;
    glance = every / 20;
    toExplain = patience + patience / 2;
    toPart = patience / 6;
    this.place = place;
    this.self = self;
    this.who = who;
    beats = new String[self.size()];
    since = new long[self.size()];
    Arrays.fill(beats, "");
    Arrays.fill(since, System.nanoTime());
    thread.setDaemon(true);
  }

  /** Appears at the meeting place for the first time. */
  static void first(MeetingPlace place, int rank) {
    place.set(beat(rank), "0");
  }

  private static String beat(int rank) {
    return "beat/" + rank;
  }

  void begin() {
    thread.start();
  }

  private void run() {
    List<String> names = IntStream.range(0, self.size()).mapToObj(Heartbeats::beat).toList();
    try {
      for (long count = 1; !ending; count++) {
        if (still) {
          return;
        }
        place.set(beat(self.rank()), Long.toString(count));
        look(place.getAll(names), System.nanoTime());
        answered = System.nanoTime();
        LockSupport.parkNanos(every);
      }
      part(names);
    } catch (RuntimeException e) {
      if (lost == null) {
        lost = storeGone();
      }
    }
  }

  private Lost storeGone() {
    String where = "%s:%d".formatted(self.host(), self.port());
    return self.storeIsLaunchers()
        ? new Lost(-1, true, "the launcher that listens on " + where + " does not answer")
        : new Lost(0, true, silent(0));
  }

  private void look(List<String> now, long time) {
    hear(now, time);
    String said = place.get(LOST);
    if (said != null) {
      lost = Lost.of(said);
      return;
    }
    for (int rank = 0; rank < now.size(); rank++) {
      if (rank != self.rank() && time - since[rank] > patience()) {
        Lost found = new Lost(rank, true, silent(rank));
        lost = Lost.of(place.setFirst(LOST, found.toString()));
        return;
      }
    }
  }

  /** Goes on when a rank is lost, for who saves depends on which of the others are still there. */
  private void hear(List<String> now, long time) {
    for (int rank = 0; rank < now.size(); rank++) {
      if (!now.get(rank).equals(beats[rank]) || now.get(rank).equals(ENDED)) {
        beats[rank] = now.get(rank);
        since[rank] = time;
      }
    }
    heard = time;
  }

  private long patience() {
    return broken ? patienceWhenBroken : patience;
  }

  private String silent(int rank) {
    return "rank %d (%s) does not answer: it was killed or stopped, or its machine is gone"
        .formatted(rank, who.get(rank));
  }

  /** Says how it ends; who is listened to waits until the others have heard it. */
  private void part(List<String> names) {
    String why = failure;
    if (why != null) {
      String told = "rank %d (%s) ended: %s".formatted(self.rank(), who.get(self.rank()), why);
      place.setFirst(LOST, new Lost(self.rank(), false, told).toString());
    }
    place.set(beat(self.rank()), ENDED);
    long until = System.nanoTime() + toPart;
    while (self.listens()
        && System.nanoTime() < until
        && !place.getAll(names).stream().allMatch(ENDED::equals)) {
      LockSupport.parkNanos(glance);
    }
  }

  /**
   * Looks whether all ranks are still there.
   *
   * @throws Problem that names the one that is lost
   */
  void check() {
    long now = System.nanoTime();
    if (now - checked > patience / 2) {
      answered = now; // this process itself stood still, or was busy elsewhere
    }
    checked = now;
    Lost found = lost;
    if (found == null && now - answered > patience) {
      found = storeGone();
      lost = found;
    }
    if (found != null) {
      throw new Problem(Problem.Kind.FAILED, found.why());
    }
  }

  /** Waits until it is known which rank it was that a connection broke to. */
  Problem explain(RuntimeException broke) {
    broken = true;
    long until = System.nanoTime() + toExplain;
    try {
      while (System.nanoTime() < until) {
        check();
        LockSupport.parkNanos(glance);
      }
    } catch (Problem e) {
      return new Problem(e.kind(), String.valueOf(e.getMessage()), broke);
    }
    return new Problem(
        Problem.Kind.FAILED,
        "the connection to another rank broke: " + String.valueOf(broke.getMessage()),
        broke);
  }

  /** Says nothing from now on, as a process that was stopped. */
  void fallSilent() {
    still = true;
  }

  /** See {@link Ranks#saves}. */
  boolean saves() {
    Lost found = lost;
    if (found == null || !found.silent()) {
      return self.rank() == 0;
    }
    return found.rank() != self.rank()
        && IntStream.range(0, self.rank()).allMatch(rank -> rank == found.rank() || isSilent(rank));
  }

  private boolean isSilent(int rank) {
    return heard - since[rank] > patience() / 2;
  }

  /** What the others are told when it {@linkplain #end ends}. */
  void fail(String why) {
    failure = why;
  }

  void end() {
    ending = true;
    LockSupport.unpark(thread);
    try {
      thread.join(TimeUnit.NANOSECONDS.toMillis(2 * toPart));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
