package dreambooth4j.weights;

import java.nio.file.Path;

/** Files of tensors, whoever wrote them. */
final class TensorFiles {
  private TensorFiles() {}

  /**
   * The tensors of a file under the names that it has: safetensors, or a pickle of torch.
   *
   * @throws dreambooth4j.Problem when it cannot be read, or its pickle calls more than tensors need
   */
  static TensorSource open(Path path) {
    return TorchFile.isOne(path) ? TorchFile.open(path) : Safetensors.open(path);
  }
}
