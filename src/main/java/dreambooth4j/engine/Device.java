package dreambooth4j.engine;

import org.bytedeco.pytorch.global.torch.DeviceType;

/** Where tensors lie and ops run. */
public enum Device {
  /** The processor. */
  CPU(DeviceType.CPU),
  /** libtorch's current CUDA device: the first that {@code CUDA_VISIBLE_DEVICES} shows. */
  CUDA(DeviceType.CUDA);

  private final DeviceType type;

  Device(DeviceType type) {
    this.type = type;
  }

  DeviceType type() {
    return type;
  }
}
