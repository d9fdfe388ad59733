package dreambooth4j.distributed;

import dreambooth4j.engine.Native;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.nccl.ProcessGroupNCCL;

/** The process group of GPUs: a class of its own, for only libtorch's GPU build has it. */
final class Nccl {
  private Nccl() {}

  /** Not run on a GPU yet. */
  static Backend connect(MeetingPlace place, RankEnvironment self, long milliseconds) {
    return Native.call(
        "connect the ranks by NCCL",
        () -> {
          ProcessGroupNCCL.Options options = ProcessGroupNCCL.Options.create();
          options.timeout(new Milliseconds(milliseconds));
          ProcessGroupNCCL made =
              new ProcessGroupNCCL(place.part("nccl"), self.rank(), self.size(), options);
          made.retainReference();
          return made;
        });
  }
}
