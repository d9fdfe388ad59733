package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import org.jspecify.annotations.Nullable;

/**
 * Where a layer declares its parameters: a dotted prefix among a model's.
 *
 * @param adapters what is put around linear layers and convolutions
 */
record Scope(Parameters parameters, LayerWrapper adapters, String prefix) {
  static Scope of(Parameters parameters) {
    return new Scope(parameters, LayerWrapper.NONE, "");
  }

  /** The scope {@code name} within this one. */
  Scope in(String name) {
    return new Scope(parameters, adapters, prefix + name + ".");
  }

  /** The scope {@code name.index} within this one. */
  Scope in(String name, int index) {
    return in(name + "." + index);
  }

  Parameter parameter(String name, long... fileShape) {
    return parameters.declare(prefix + name, fileShape);
  }

  /** The prefix without its last dot: the name of the layer itself. */
  private String module() {
    return prefix.substring(0, prefix.length() - 1);
  }

  private @Nullable Parameter bias(boolean wanted, long width) {
    return wanted ? parameter("bias", width) : null;
  }

  Conv conv(String name, int in, int out, int kernel, int stride, int padding) {
    Scope own = in(name);
    return adapters.around(
        own.module(),
        new Conv.Plain(
            own.parameter("weight", out, in, kernel, kernel),
            own.parameter("bias", out),
            stride,
            padding));
  }

  Dense dense(String name, int in, int out, boolean bias) {
    Scope own = in(name);
    return adapters.around(
        own.module(), new Dense.Plain(own.parameter("weight", out, in), own.bias(bias, out)));
  }

  /** A 1×1 convolution, which is a linear layer over the channels. */
  Dense pointwise(String name, int in, int out) {
    Scope own = in(name);
    return adapters.around(
        own.module(),
        new Dense.Plain(own.parameter("weight", out, in, 1, 1), own.parameter("bias", out)));
  }

  ChannelNorm channelNorm(String name, int channels, int groups, double epsilon) {
    Scope own = in(name);
    return new ChannelNorm(
        own.parameter("weight", channels), own.parameter("bias", channels), groups, epsilon);
  }

  TokenNorm tokenNorm(String name, int width, double epsilon) {
    Scope own = in(name);
    return new TokenNorm(own.parameter("weight", width), own.parameter("bias", width), epsilon);
  }
}
