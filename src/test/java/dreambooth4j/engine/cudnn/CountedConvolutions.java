package dreambooth4j.engine.cudnn;

import dreambooth4j.engine.Device;
import dreambooth4j.engine.cudnn.Convolution.Direction;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Consumer;

/** Convolutions of dry tensors, each call of their library told to somebody. */
public final class CountedConvolutions {
  private CountedConvolutions() {}

  /** {@code told} hears of "forward", "data" and "filter" and of the library's other work. */
  public static Convolutions dry(Consumer<String> told) {
    ConvolutionLibrary library = new DryLibrary();
    Object counted =
        Proxy.newProxyInstance(
            ConvolutionLibrary.class.getClassLoader(),
            new Class<?>[] {ConvolutionLibrary.class},
            (proxy, method, arguments) -> {
              if (method.getReturnType() == void.class) {
                told.accept(
                    Arrays.stream(arguments)
                        .filter(Direction.class::isInstance)
                        .map(each -> each.toString().toLowerCase(Locale.ROOT))
                        .findFirst()
                        .orElse(method.getName()));
              }
              return method.invoke(library, arguments);
            });
    return new Convolutions((ConvolutionLibrary) counted, null, Device.CPU);
  }
}
