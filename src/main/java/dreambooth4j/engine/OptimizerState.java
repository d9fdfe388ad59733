package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What an optimizer remembers of one group of parameters, by {@link StateTensor}'s layout. */
public final class OptimizerState {
  private final Parameters parameters;
  private final double rateFactor;
  private final Rounding rounding;
  private final Shards shards;
  private final Parameters.Span own;
  private final @Nullable Tensor anchor;
  private final Map<StateTensor, Tensor> tensors = new LinkedHashMap<>();
  private final List<Moment> moments = new ArrayList<>();
  private final List<Tensor> numbers = new ArrayList<>();

  /** Allocates it in {@code arena}, all zero, the moments in this type or, U8, in 8 bits. */
  OptimizerState(
      Arena arena,
      Optimizer.Group group,
      UpdateRule rule,
      DType type,
      Rounding rounding,
      Anchor pull,
      Shards shards) {
    parameters = group.parameters();
    rateFactor = group.rateFactor();
    this.rounding = rounding;
    this.shards = shards;
    own = shards.own(parameters.flatCount());
    anchor = pull.of(arena, parameters, own);
    for (StateTensor each : StateTensor.layout(rule, type)) {
      String what = "optimizer's " + each.name();
      tensors.put(
          each, arena.zeros(what, each.dtype(), each.extent().of(parameters, own.length())));
    }
    for (UpdateRule.GroupNumber each : rule.numbers()) {
      Tensor number = tensor(StateTensor.number(each));
      number.copyFrom(new double[] {each.begin()});
      numbers.add(number);
    }
    for (UpdateRule.Remembered each : rule.moments()) {
      Tensor values = tensor(StateTensor.values(each, type));
      if (type == DType.U8) {
        values.fill_(each.code().encode(0) & 0xff);
      }
      Tensor scales = tensors.get(StateTensor.scales(each));
      moments.add(new Moment(each.code(), values, scales));
    }
  }

  private Tensor tensor(StateTensor of) {
    return Objects.requireNonNull(tensors.get(of), of.name());
  }

  /** The group. */
  public Parameters parameters() {
    return parameters;
  }

  /** What the step's learning rate is multiplied with for this group. */
  public double rateFactor() {
    return rateFactor;
  }

  /** How its weights are rounded where they have no masters. */
  public Rounding rounding() {
    return rounding;
  }

  /** Bytes of the copy of where its weights were. */
  long anchorBytes() {
    return anchor == null ? 0 : anchor.ownedBytes();
  }

  /**
   * Where a part of its weights was: a view, to be released; null where they are pulled towards
   * zero or not at all.
   */
  public @Nullable Tensor anchor(Parameters.Span of) {
    return anchor == null ? null : anchor.rows(of.from() - own.from(), of.length());
  }

  /** The stretch of the flat buffers that is updated in this process. */
  Parameters.Span own() {
    return own;
  }

  /** Which element of all of a state tensor is the first that this process has. */
  public long first(StateTensor of) {
    return of.extent().isCut() ? of.extent().of(parameters, own.from()) : 0;
  }

  /** Elements of all of a state tensor. */
  public long count(StateTensor of) {
    return of.extent().of(parameters, parameters.flatCount());
  }

  /** The parts of the flat buffers that train and are updated in this process. */
  public List<Parameters.Span> spans() {
    return shards.ofOwn(parameters.trainedSpans(), parameters.flatCount());
  }

  /** F32 [1], how many steps were taken. */
  public Tensor steps() {
    return tensor(StateTensor.STEPS);
  }

  /** The group's numbers, in the rule's order. */
  List<Double> numbers() {
    return numbers.stream().map(Tensor::item).toList();
  }

  /** Remembers other numbers of the group. */
  void remember(List<Double> others) {
    for (int i = 0; i < numbers.size(); i++) {
      numbers.get(i).copyFrom(new double[] {others.get(i)});
    }
  }

  /** What is remembered of one tensor beside its moments: views, flat, to be released. */
  List<Tensor> ofTensors(TensorRule rule, Parameter of) {
    List<Tensor> slices = new ArrayList<>();
    for (StateTensor each : rule.ofTensors()) {
      long from = 0;
      for (Parameter before : parameters.all()) {
        if (before == of) {
          break;
        }
        from += each.extent().of(before.shape());
      }
      slices.add(tensor(each).rows(from, each.extent().of(of.shape())));
    }
    return slices;
  }

  /** What is remembered of each weight of this process' stretch, in the rule's order. */
  public List<Moment> moments() {
    return Collections.unmodifiableList(moments);
  }

  /** The same of a part, which is whole blocks: views, to be released. */
  public List<Moment> moments(Parameters.Span of) {
    Parameters.Span here = new Parameters.Span(of.from() - own.from(), of.length());
    return moments.stream().map(each -> each.part(here)).toList();
  }

  /** All that this process remembers, to be saved and restored in place. */
  public Map<StateTensor, Tensor> tensors() {
    return Collections.unmodifiableMap(tensors);
  }
}
