package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The weights of one model, or of one part of it that trains with settings of its own: slices of
 * one flat buffer for weights and, when they train, one for gradients. Declared first, by the
 * model's layers, then allocated, then read. Slices start on 256-byte boundaries; the gaps stay
 * zero.
 */
public final class Parameters {
  private static final long ALIGNMENT_BYTES = 256;

  /** A flat buffer's length is a multiple of this many elements, so that it can be seen as rows. */
  static final long ROW = 4096;

  private final Map<String, Parameter> byName = new LinkedHashMap<>();
  private final DType dtype;
  private long elements;
  private @Nullable Tensor weights;
  private @Nullable Tensor gradients;

  /** No parameters yet; their elements will be of {@code dtype}. */
  public Parameters(DType dtype) {
    this.dtype = dtype;
  }

  /** A weight of this name and shape, as files hold it. */
  public Parameter declare(String name, long... fileShape) {
    if (weights != null) {
      throw new IllegalStateException(name + " was declared after allocation");
    }
    Parameter parameter = new Parameter(name, fileShape.clone(), elements);
    if (byName.put(name, parameter) != null) {
      throw new IllegalStateException(name + " was declared twice");
    }
    long alignment = ALIGNMENT_BYTES / dtype.bytes();
    elements += (parameter.count() + alignment - 1) / alignment * alignment;
    return parameter;
  }

  /** Allocates the weights, all zero, and, where they train, the gradients, all zero. */
  public void allocate(Arena arena, boolean trainable) {
    elements = (elements + ROW - 1) / ROW * ROW;
    weights = arena.zeros("weights", dtype, elements);
    gradients = trainable ? arena.zeros("gradients", dtype, elements) : null;
    for (Parameter each : byName.values()) {
      each.bind(weights, gradients);
    }
  }

  /** All of them in the order of declaration. */
  public List<Parameter> all() {
    return List.copyOf(byName.values());
  }

  /** By name, in the order of declaration; cannot be changed. */
  public Map<String, Parameter> byName() {
    return Collections.unmodifiableMap(byName);
  }

  /** Element type of the weights. */
  public DType dtype() {
    return dtype;
  }

  /** Elements of a flat buffer, the gaps between slices included. */
  public long flatCount() {
    return elements;
  }

  /** Elements of all weights, without the gaps. */
  public long count() {
    return byName.values().stream().mapToLong(Parameter::count).sum();
  }

  /** Part of the flat buffers. */
  record Span(long from, long length) {}

  /** The parts of the flat buffers that train, as few as can be, gaps between slices included. */
  List<Span> trainedSpans() {
    List<Span> spans = new ArrayList<>();
    List<Parameter> all = all();
    for (int i = 0; i < all.size(); ) {
      int first = i;
      while (i < all.size() && all.get(i).isTrainable() == all.get(first).isTrainable()) {
        i++;
      }
      if (all.get(first).isTrainable()) {
        long from = all.get(first).offset();
        long end = i < all.size() ? all.get(i).offset() : elements;
        spans.add(new Span(from, end - from));
      }
    }
    return spans;
  }

  /** All weights in one buffer. */
  public Tensor weights() {
    return allocated(weights);
  }

  /** All gradients in one buffer; throws where the weights are frozen. */
  public Tensor gradients() {
    return allocated(gradients);
  }

  /** Whether gradients gather. */
  public boolean isTrainable() {
    return gradients != null;
  }

  private static Tensor allocated(@Nullable Tensor flat) {
    if (flat == null) {
      throw new IllegalStateException("these parameters are not allocated, or frozen");
    }
    return flat;
  }
}
