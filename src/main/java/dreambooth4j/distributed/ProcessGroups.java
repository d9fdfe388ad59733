package dreambooth4j.distributed;

import dreambooth4j.Problem;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.BroadcastOptions;
import org.bytedeco.pytorch.GlooDeviceVector;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.ReduceOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Work;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Ranks in c10d's process groups: Gloo on the CPU and for words, NCCL for what lies on a GPU. Their
 * own time limits are out of reach: {@link Heartbeats} notice a lost rank sooner, and a rank may
 * wait for hours until another has made pictures.
 */
final class ProcessGroups implements Ranks {
  private static final long TO_COME = TimeUnit.MINUTES.toNanos(10);
  private static final long TO_CONNECT_MILLISECONDS = 120_000;
  private static final long NO_LIMIT_MILLISECONDS = TimeUnit.DAYS.toMillis(30);
  private static final long GLANCE = TimeUnit.MICROSECONDS.toNanos(50);

  private final RankEnvironment self;
  private final MeetingPlace place;
  private final Heartbeats heartbeats;
  private final ProcessGroupGloo gloo;
  private final List<Work> begun = new ArrayList<>();
  private @Nullable Backend nccl;

  private ProcessGroups(
      RankEnvironment self, MeetingPlace place, Heartbeats heartbeats, ProcessGroupGloo gloo) {
    this.self = self;
    this.place = place;
    this.heartbeats = heartbeats;
    this.gloo = gloo;
  }

  /** Meets the other ranks. */
  static Ranks join(RankEnvironment self) {
    return join(self, Heartbeats.PATIENCE);
  }

  /** As above, with another patience than {@link Heartbeats#PATIENCE}. */
  static Ranks join(RankEnvironment self, long patience) {
    MeetingPlace place;
    MeetingPlace another;
    try {
      place = MeetingPlace.open(self, self.listens());
      another = MeetingPlace.open(self, false);
    } catch (IllegalStateException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          self.listens()
              ? "rank 0 cannot listen on MASTER_PORT %d (%s): give another"
                  .formatted(self.port(), e.getMessage())
              : "rank %d cannot reach rank 0 at MASTER_ADDR %s, MASTER_PORT %d (%s): is it started, and does no firewall lie between?"
                  .formatted(self.rank(), self.host(), self.port(), e.getMessage()),
          e);
    }
    Heartbeats.first(place, self.rank());
    place.set(name(self.rank()), "%s, process %d".formatted(host(), ProcessHandle.current().pid()));
    Heartbeats heartbeats = new Heartbeats(another, self, all(place, self), patience);
    heartbeats.begin();
    return new ProcessGroups(self, place, heartbeats, gloo(place, self));
  }

  private static String name(int rank) {
    return "who/" + rank;
  }

  private static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (IOException e) {
      return "a machine without a name";
    }
  }

  /** Waits until all have come; what they say of themselves. */
  private static List<String> all(MeetingPlace place, RankEnvironment self) {
    long until = System.nanoTime() + TO_COME;
    List<String> all = new ArrayList<>();
    while (all.size() < self.size()) {
      String next = place.get(name(all.size()));
      if (next != null) {
        all.add(next);
      } else if (System.nanoTime() > until) {
        List<Integer> missing =
            IntStream.range(0, self.size())
                .filter(rank -> place.get(name(rank)) == null)
                .boxed()
                .toList();
        throw new Problem(
            Problem.Kind.FAILED,
            "WORLD_SIZE is %d, but these ranks did not connect within 10 minutes: %s"
                .formatted(self.size(), missing));
      } else {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    }
    return all;
  }

  private static ProcessGroupGloo gloo(MeetingPlace place, RankEnvironment self) {
    return Native.call(
        "connect the ranks by Gloo",
        () -> {
          ProcessGroupGloo.Options options =
              ProcessGroupGloo.Options.create(new Milliseconds(TO_CONNECT_MILLISECONDS));
          String network = System.getenv("GLOO_SOCKET_IFNAME");
          options.devices(
              new GlooDeviceVector(
                  network == null
                      ? ProcessGroupGloo.createDeviceForHostname(addressTowards(self))
                      : ProcessGroupGloo.createDeviceForInterface(network)));
          options.threads(2);
          ProcessGroupGloo made =
              new ProcessGroupGloo(place.part("gloo"), self.rank(), self.size(), options);
          made.setTimeout(new Milliseconds(NO_LIMIT_MILLISECONDS));
          made.retainReference();
          return made;
        });
  }

  /** The address of this machine in the network in which the ranks meet. */
  private static String addressTowards(RankEnvironment self) {
    try (DatagramSocket socket = new DatagramSocket()) {
      socket.connect(new InetSocketAddress(self.host(), self.port()));
      return socket.getLocalAddress().getHostAddress(); // nothing was sent
    } catch (IOException | IllegalArgumentException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "MASTER_ADDR %s cannot be reached: %s. Name the network interface by GLOO_SOCKET_IFNAME."
              .formatted(self.host(), e.getMessage()),
          e);
    }
  }

  @Override
  public int rank() {
    return self.rank();
  }

  @Override
  public int size() {
    return self.size();
  }

  @Override
  public int here() {
    return self.here();
  }

  @Override
  public void begin(Tensor tensor) {
    begin("sum over the ranks", tensor, Backend::allreduce);
  }

  /**
   * What Gloo has of a reduce-scatter adds up everything everywhere and throws the rest away; so
   * each stretch is reduced by itself to the rank that needs it.
   */
  @Override
  public void reduce(Tensor tensor, int owner) {
    begin(
        "sum for rank " + owner,
        tensor,
        (group, all) -> group.reduce(all, new ReduceOptions().rootRank(owner)));
  }

  @Override
  public void broadcast(Tensor tensor, int owner) {
    begin(
        "tell what rank " + owner + " has",
        tensor,
        (group, all) -> group.broadcast(all, new BroadcastOptions().rootRank(owner)));
  }

  private void begin(String what, Tensor tensor, BiFunction<Backend, TensorVector, Work> call) {
    Native.run(
        what,
        () -> {
          Backend group = tensor.arena().device() == Device.CUDA ? nccl() : gloo;
          Work work = call.apply(group, new TensorVector(tensor.handle()));
          work.retainReference();
          begun.add(work);
        });
  }

  @Override
  public void finish() {
    Native.run("wait for the ranks", () -> begun.forEach(this::await));
    begun.forEach(Pointer::releaseReference);
    begun.clear();
  }

  private Backend nccl() {
    Backend made = nccl;
    if (made == null) {
      made = Nccl.connect(place, self, NO_LIMIT_MILLISECONDS);
      nccl = made;
    }
    return made;
  }

  /** Waits for work of all ranks; a GPU goes on when it is there, the host knows that it came. */
  private void await(Work work) {
    try {
      while (!work.isCompleted()) {
        heartbeats.check();
        LockSupport.parkNanos(GLANCE);
      }
      work._wait();
    } catch (Problem e) {
      abandon();
      throw e;
    } catch (RuntimeException e) {
      abandon();
      throw heartbeats.explain(e);
    }
  }

  /** A GPU must not wait for a lost rank any more: what was learnt is still to be saved. */
  private void abandon() {
    Backend stuck = nccl;
    if (stuck != null) {
      Native.run("abort NCCL", stuck::abort);
    }
  }

  private void sum(org.bytedeco.pytorch.Tensor ofHost) {
    await(gloo.allreduce(new TensorVector(ofHost)));
  }

  @Override
  public List<String> gather(String mine) {
    byte[] own = mine.getBytes(StandardCharsets.UTF_8);
    return Native.call(
        "gather from the ranks",
        () -> {
          long[] lengths = new long[size()];
          lengths[rank()] = own.length;
          org.bytedeco.pytorch.Tensor sizes = torch.tensor(lengths);
          sum(sizes);
          long most = 1 + sizes.max().item_long();
          org.bytedeco.pytorch.Tensor rows =
              torch.zeros(
                  new long[] {size(), most},
                  new org.bytedeco.pytorch.TensorOptions(torch.ScalarType.Byte));
          ByteBuffer bytes = rows.createBuffer();
          bytes.position((int) (rank() * most)).put(own);
          sum(rows);
          List<String> all = new ArrayList<>();
          for (int i = 0; i < size(); i++) {
            byte[] text = new byte[(int) sizes.get(i).item_long()];
            bytes.position((int) (i * most)).get(text);
            all.add(new String(text, StandardCharsets.UTF_8));
          }
          return all;
        });
  }

  @Override
  public boolean any(boolean mine) {
    return Native.call(
        "ask the ranks",
        () -> {
          org.bytedeco.pytorch.Tensor votes = torch.tensor(new float[] {mine ? 1 : 0});
          sum(votes);
          return votes.item_float() > 0;
        });
  }

  /** For tests: from now on it seems to be lost. */
  void stopHeartbeats() {
    heartbeats.fallSilent();
  }

  @Override
  public boolean saves() {
    return heartbeats.saves();
  }

  @Override
  public void fail(String why) {
    heartbeats.fail(why);
  }

  @Override
  public void close() {
    heartbeats.end();
  }
}
