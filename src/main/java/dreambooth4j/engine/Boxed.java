package dreambooth4j.engine;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BooleanList;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.FunctionSchema;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorList;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/** Calls of libtorch operators that have no Java binding, through its dispatcher. */
public final class Boxed {
  // Handles point into the dispatcher's own table: they live as long as the process.
  private static final Map<String, OperatorHandle> OPERATORS = new ConcurrentHashMap<>();

  /** An argument that is a list without elements. */
  public static final Object EMPTY_LIST = new Object();

  private Boxed() {}

  /**
   * Calls an operator. To be used inside a {@link Native} call, whose scope owns the results.
   *
   * @param name of one in {@code aten}, or with its namespace in front, as {@code mkldnn::name}
   * @param arguments in the order of the schema: tensors, arrays of tensors, booleans, arrays of
   *     them, longs, doubles, texts, {@link #EMPTY_LIST}, or null for none
   * @return the results that are tensors, others being undefined ones
   */
  public static Tensor[] call(String name, @Nullable Object... arguments) {
    OperatorHandle operator = operator(name);
    IValueVector stack = new IValueVector();
    for (int i = 0; i < arguments.length; i++) {
      stack.push_back(
          arguments[i] == EMPTY_LIST ? emptyList(operator.schema(), i) : boxed(arguments[i]));
    }
    operator.callBoxed(stack);
    Tensor[] results = new Tensor[(int) stack.size()];
    for (int i = 0; i < results.length; i++) {
      IValue result = stack.get(i);
      results[i] = result.isTensor() ? result.toTensor() : new Tensor();
    }
    return results;
  }

  /** A list of the type of elements that an operator's {@code i}th argument has. */
  private static IValue emptyList(FunctionSchema schema, int i) {
    return new IValue(
        new GenericList(schema.arguments().getPointer(i).type().get().containedType(0)));
  }

  /** Handles that were looked up so far: native objects that are meant to stay. */
  static int handles() {
    return OPERATORS.size();
  }

  /** The schema of {@code aten::name}, as libtorch prints it. */
  public static String schema(String name) {
    return Native.call("schema", () -> torch.toString(operator(name).schema()).getString());
  }

  private static OperatorHandle operator(String name) {
    return OPERATORS.computeIfAbsent(
        name,
        n -> {
          // The scope of the call would close a handle that is not retained.
          try (PointerScope scope = new PointerScope()) {
            String full = n.contains("::") ? n : "aten::" + n;
            OperatorHandle handle = Dispatcher.singleton().findSchemaOrThrow(full, "");
            handle.retainReference();
            return handle;
          }
        });
  }

  private static IValue boxed(@Nullable Object argument) {
    if (argument == null) {
      return new IValue();
    } else if (argument instanceof Tensor tensor) {
      return new IValue(tensor);
    } else if (argument instanceof Boolean flag) {
      return new IValue(flag);
    } else if (argument instanceof Long number) {
      return new IValue(number);
    } else if (argument instanceof Double number) {
      return new IValue(number);
    } else if (argument instanceof String text) {
      return new IValue(text);
    } else if (argument instanceof Tensor[] tensors) {
      // IValue has no constructor for lists of tensors, but every list is the same handle natively.
      return new IValue(new GenericList(new TensorList(new TensorVector(tensors))));
    } else if (argument instanceof boolean[] flags) {
      BooleanList list = new BooleanList();
      for (boolean flag : flags) {
        list.push_back(flag);
      }
      return new IValue(new GenericList(list));
    }
    throw new IllegalArgumentException("cannot box " + argument.getClass());
  }
}
