package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * The weights of one model, or of one part of it that trains with settings of its own: slices of
 * one flat buffer for weights and, when they train, one for gradients, unless these are passed on
 * one by one. Declared first, by the model's layers, then allocated, then read. A slice is a number
 * of whole blocks of 256 elements; what it does not fill stays zero.
 *
 * <p>Weights of 16 bits that train have masters of F32 beside them, unless they are to do without:
 * files fill these, the optimizer updates them, and the weights are their rounded copy. A moving
 * average of the masters can lie beside them; then it is what is saved.
 */
public final class Parameters {
  /** Who gathers the gradients. */
  public enum Gradients {
    /** Nobody: the weights are frozen. */
    NONE,
    /** A flat buffer. */
    GATHERED,
    /** Nobody for long: each is handed on and freed once its op's backward is done. */
    PASSED_ON
  }

  /** Every slice is a number of so many elements: what has one scale belongs to one parameter. */
  static final long BLOCK = 256;

  /** A flat buffer's length is a multiple of this many elements, so that it can be seen as rows. */
  static final long ROW = 4096;

  /** Elements of 16 bits that are widened at once. */
  private static final long PIECE = 256 * ROW;

  private final Map<String, Parameter> byName = new LinkedHashMap<>();
  private final DType dtype;
  private final boolean wantsMasters;
  private final List<Parameter> arrived = new ArrayList<>();
  private final Set<Parameter> seen = new HashSet<>();
  private Gradients kind = Gradients.NONE;
  private long elements;
  private boolean full;
  private @Nullable Tensor weights;
  private @Nullable Tensor masters;
  private @Nullable Tensor gradients;
  private @Nullable Tensor average;

  /** Brings weights that rest back; null where they are there. */
  private @Nullable Runnable back;

  /** No parameters yet; their elements will be of {@code dtype}. */
  public Parameters(DType dtype) {
    this(dtype, true);
  }

  /**
   * As {@link #Parameters(DType)}.
   *
   * @param masters whether weights of 16 bits have F32 masters when they train; those of BF16 can
   *     do without, and are rounded at random ({@link Rounding})
   */
  public Parameters(DType dtype, boolean masters) {
    this.dtype = dtype;
    this.wantsMasters = masters && dtype.isHalf();
  }

  /** A weight of this name and shape, as files hold it. */
  public Parameter declare(String name, long... fileShape) {
    if (weights != null) {
      throw new IllegalStateException(name + " was declared after allocation");
    }
    Parameter parameter = new Parameter(this, name, fileShape.clone(), elements);
    if (byName.put(name, parameter) != null) {
      throw new IllegalStateException(name + " was declared twice");
    }
    elements += span(parameter).length();
    return parameter;
  }

  /** As {@link #allocate(Arena, Gradients)}: gradients are gathered where the weights train. */
  public void allocate(Arena arena, boolean trainable) {
    allocate(arena, trainable ? Gradients.GATHERED : Gradients.NONE);
  }

  /**
   * Allocates the weights and their masters, all zero, and, where they are gathered, the gradients,
   * all zero.
   */
  public void allocate(Arena arena, Gradients wanted) {
    if (wanted != Gradients.NONE && dtype == DType.F16 && !wantsMasters) {
      throw new IllegalStateException("weights of F16 that train need masters");
    }
    kind = wanted;
    elements = (elements + ROW - 1) / ROW * ROW;
    weights = arena.zeros("weights", dtype, elements);
    masters =
        kind != Gradients.NONE && wantsMasters
            ? arena.zeros("master weights", DType.F32, elements)
            : weights;
    gradients = kind == Gradients.GATHERED ? arena.zeros("gradients", dtype, elements) : null;
    for (Parameter each : byName.values()) {
      each.bind(weights, masters, gradients, kind != Gradients.NONE);
    }
  }

  /**
   * Frees frozen weights until somebody asks for one of them.
   *
   * @param back allocates them again as they were, and fills them
   */
  public void rest(Runnable back) {
    if (isTrainable()) {
      throw new IllegalStateException("weights that train cannot rest");
    }
    byName.values().forEach(Parameter::unbind);
    allocated(weights).release();
    weights = null;
    masters = null;
    this.back = back;
  }

  /** Whether they are freed, and come back when they are asked for. */
  public boolean rests() {
    return back != null;
  }

  /** Brings them back where they rest. */
  void wake() {
    Runnable waiting = back;
    if (waiting != null) {
      back = null;
      waiting.run();
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

  /** Element type of the weights and gradients. */
  public DType dtype() {
    return dtype;
  }

  /**
   * Element type that is computed in: {@link #dtype}, or that of what is saved within {@link
   * #withSavedWeights}.
   */
  public DType computeType() {
    return full ? saved().dtype() : dtype;
  }

  /** Computes with what is {@link #saved} meanwhile, without backward. */
  public void withSavedWeights(Runnable body) {
    full = true;
    try {
      body.run();
    } finally {
      full = false;
    }
  }

  boolean usesSavedWeights() {
    return full;
  }

  /** Elements of a flat buffer, the gaps between slices included. */
  public long flatCount() {
    return elements;
  }

  /** Elements of all weights, without the gaps. */
  public long count() {
    return byName.values().stream().mapToLong(Parameter::count).sum();
  }

  /** Part of the flat buffers, in elements; it begins and ends with a whole block. */
  public record Span(long from, long length) {
    /** What it has in common with another; nothing of it has length 0. */
    Span common(Span other) {
      long begin = Math.max(from, other.from);
      long end = Math.min(from + length, other.from + other.length);
      return new Span(begin, Math.max(0, end - begin));
    }
  }

  /** A parameter's slice, with what it does not fill. */
  Span span(Parameter parameter) {
    return new Span(parameter.offset(), (parameter.count() + BLOCK - 1) / BLOCK * BLOCK);
  }

  /** A walk begins that passes gradients on, each once. */
  void expectArrivals() {
    seen.clear();
  }

  /** A buffer for a gradient that will be passed on, all zero and as long as its slice. */
  Tensor arriving(Parameter parameter) {
    if (!seen.add(parameter)) {
      throw new IllegalStateException(
          parameter.name() + " is used by two ops: its gradient cannot be passed on by the first");
    }
    arrived.add(parameter);
    return weights()
        .arena()
        .zeros("gradient of " + parameter.name(), dtype, span(parameter).length());
  }

  /** Whose gradients have arrived and wait to be taken; each is told once. */
  List<Parameter> takeArrived() {
    List<Parameter> taken = List.copyOf(arrived);
    arrived.clear();
    return taken;
  }

  /** The parts of the flat buffers that train, as few as can be, gaps between slices included. */
  public List<Span> trainedSpans() {
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
    wake();
    return allocated(weights);
  }

  /**
   * What is trained, in one buffer: F32 where there are masters, otherwise {@link #weights}
   * themselves.
   */
  public Tensor masters() {
    wake();
    return allocated(masters);
  }

  /** Whether the masters are a buffer of their own. */
  public boolean hasMasters() {
    return masters() != weights();
  }

  /** Whether updates are rounded at random, for no masters keep what weights of 16 bits lose. */
  public boolean roundsAtRandom() {
    return dtype.isHalf() && !hasMasters();
  }

  /** Tells what is trained from other weights: the sum of all bits, in pieces of their size. */
  public long fingerprint() {
    Tensor all = masters();
    torch.ScalarType bits = all.dtype().isHalf() ? torch.ScalarType.Short : torch.ScalarType.Int;
    return Native.call("fingerprint", () -> all.handle().view(bits).sum().item_long());
  }

  /** Makes the weights the rounded copy of masters that were written to. */
  public void copyMasters() {
    if (hasMasters()) {
      weights().copyFrom(masters());
    }
  }

  /**
   * Keeps an average of the masters from now on, in an F32 buffer of {@code arena}; it begins as
   * they are.
   */
  public void keepAverage(Arena arena) {
    Tensor flat = arena.allocate("averaged weights", DType.F32, elements);
    average = flat;
    byName.values().forEach(each -> each.keepAverage(flat));
    beginAverage();
  }

  /** Makes the average what the masters are. */
  public void beginAverage() {
    allocated(average).copyFrom(masters());
  }

  /** The average in one buffer, F32; null where none is kept. */
  public @Nullable Tensor average() {
    return average;
  }

  /**
   * Moves the average a part of the way to where the masters are.
   *
   * @param rate F32 [1], 0 to 1: the part
   * @param norm F32 [1], the gradients': where it is not finite the average stays as it is
   */
  public void moveAverage(Tensor rate, Tensor norm) {
    if (rate.arena().isDry()) {
      return;
    }
    if (rate.arena().device() == Device.CPU) {
      if (Double.isFinite(norm.item())) {
        Scalar part = new Scalar(rate.item());
        eachPiece((averages, masters) -> averages.lerp_(masters, part));
      }
      return;
    }
    eachPiece(
        (averages, masters) ->
            averages.lerp_(masters, rate.handle().mul(norm.handle().isfinite())));
  }

  /**
   * Makes the average the masters, plus {@code factor} times a flat F32 buffer from an element on.
   */
  void setAverage(long from, Tensor distance, double factor) {
    if (distance.arena().isDry()) {
      return;
    }
    beginAverage();
    Native.run(
        "average",
        () ->
            allocated(average)
                .handle()
                .narrow(0, from, distance.count())
                .add_(distance.handle(), new Scalar(factor)));
  }

  /** Average and masters, both F32: all at once, but for masters of 16 bits. */
  private void eachPiece(
      BiConsumer<org.bytedeco.pytorch.Tensor, org.bytedeco.pytorch.Tensor> body) {
    long most = masters().dtype() == DType.F32 ? elements : PIECE;
    for (long from = 0; from < elements; from += most) {
      long start = from;
      long length = Math.min(most, elements - from);
      Native.run(
          "average",
          () ->
              body.accept(
                  allocated(average).handle().narrow(0, start, length),
                  masters().handle().narrow(0, start, length).to(torch.ScalarType.Float)));
    }
  }

  /** What is saved and drawn with, in one buffer: the average where one is kept, or the masters. */
  public Tensor saved() {
    return average == null ? masters() : average;
  }

  /** All gradients in one buffer; throws where the weights are frozen. */
  public Tensor gradients() {
    Tensor flat = allocated(gradients);
    for (Parameter each : byName.values()) {
      if (each.isTrainable()) {
        each.gradient();
      }
    }
    return flat;
  }

  /** All gradients in one buffer, those of earlier steps too; null where none is gathered. */
  @Nullable Tensor gatheredGradients() {
    return gradients;
  }

  /** A part of the gradients' buffer, whatever is there. */
  Tensor gradientSlice(long from, long length) {
    return allocated(gradients).rows(from, length);
  }

  /** Sets all gathered gradients to zero; this takes no time, for the next ones replace them. */
  public void zeroGradients() {
    byName.values().forEach(Parameter::forgetGradient);
  }

  /** Whether there are gradients. */
  public boolean isTrainable() {
    return kind != Gradients.NONE;
  }

  /** Whether gradients are passed on, and no buffer has them all. */
  public boolean passesGradients() {
    return kind == Gradients.PASSED_ON;
  }

  private static Tensor allocated(@Nullable Tensor flat) {
    if (flat == null) {
      throw new IllegalStateException("these parameters are not allocated, or frozen");
    }
    return flat;
  }
}
