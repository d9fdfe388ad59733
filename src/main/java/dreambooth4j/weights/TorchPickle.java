package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import net.razorvine.pickle.IObjectConstructor;
import net.razorvine.pickle.Opcodes;
import net.razorvine.pickle.PickleException;
import net.razorvine.pickle.PickleUtils;
import net.razorvine.pickle.Unpickler;
import org.jspecify.annotations.Nullable;

/**
 * Reads what torch pickles of a model: numbers, texts, plain containers and tensors. A pickle is a
 * program that may name any function of Python and have it called; here a name is a name, and the
 * few that are called are written below. Whatever else a pickle calls is refused by its name.
 */
final class TorchPickle extends Unpickler {
  /**
   * What torch writes, and nothing that only older pickles have: the same as torch itself takes.
   */
  private static final Set<Short> TAKEN =
      Set.of(
          Opcodes.PROTO,
          Opcodes.FRAME,
          Opcodes.STOP,
          Opcodes.MARK,
          Opcodes.NONE,
          Opcodes.NEWTRUE,
          Opcodes.NEWFALSE,
          Opcodes.BININT,
          Opcodes.BININT1,
          Opcodes.BININT2,
          Opcodes.LONG1,
          Opcodes.BINFLOAT,
          Opcodes.BINUNICODE,
          Opcodes.SHORT_BINUNICODE,
          Opcodes.BINSTRING,
          Opcodes.SHORT_BINSTRING,
          Opcodes.TUPLE,
          Opcodes.EMPTY_TUPLE,
          Opcodes.TUPLE1,
          Opcodes.TUPLE2,
          Opcodes.TUPLE3,
          Opcodes.EMPTY_LIST,
          Opcodes.APPEND,
          Opcodes.BINGET,
          Opcodes.LONG_BINGET,
          Opcodes.BINPUT,
          Opcodes.LONG_BINPUT,
          Opcodes.MEMOIZE,
          Opcodes.REDUCE,
          Opcodes.NEWOBJ,
          Opcodes.BINPERSID);

  private static final Map<String, DType> STORAGES =
      Map.of(
          "torch.DoubleStorage", DType.F64,
          "torch.FloatStorage", DType.F32,
          "torch.BFloat16Storage", DType.BF16,
          "torch.HalfStorage", DType.F16,
          "torch.LongStorage", DType.I64,
          "torch.IntStorage", DType.I32,
          "torch.ShortStorage", DType.I16,
          "torch.CharStorage", DType.I8,
          "torch.ByteStorage", DType.U8,
          "torch.BoolStorage", DType.BOOL);

  /** The functions that are called, each as it is written here. */
  private static final Map<String, IObjectConstructor> CALLED =
      Map.of(
          "collections.OrderedDict", TorchPickle::emptyDictionary,
          "torch._utils._rebuild_tensor_v2", TorchPickle::tensor,
          "torch._utils._rebuild_parameter", args -> args[0],
          "builtins.set", args -> args[0],
          "__builtin__.set", args -> args[0]);

  /** A name of Python's, which is harmless until it is called. */
  record Name(Path file, String name) implements IObjectConstructor {
    @Override
    public Object construct(Object[] args) {
      IObjectConstructor called = CALLED.get(name);
      if (called == null) {
        throw refused(file, name);
      }
      return called.construct(args);
    }
  }

  private final Path file;
  private final PickleInput source;
  private final Map<String, DType> types = new HashMap<>();

  /** Reads from {@code source}; {@code file} names it in errors. */
  TorchPickle(Path file, PickleInput source) {
    this.file = file;
    this.source = source;
  }

  private static Problem refused(Path file, String name) {
    return Problem.data(
        "%s: this pickle calls %s, which is no tensor and no plain container: it is refused, and nothing of it was run. Get the model as .safetensors."
            .formatted(file, name));
  }

  /**
   * Reads the next pickle.
   *
   * @throws Problem when it is damaged, too long, or calls what is not called here
   */
  @Nullable Object next() throws IOException {
    try {
      return load(source);
    } catch (PickleException
        | IndexOutOfBoundsException
        | ClassCastException
        | NegativeArraySizeException
        | NullPointerException e) {
      throw new Problem(
          Problem.Kind.DATA,
          "%s: a damaged pickle, at byte %d".formatted(file, source.position()),
          e);
    }
  }

  /** The types of the storages that were named, by their names. */
  Map<String, DType> types() {
    return types;
  }

  @Override
  protected Object dispatch(short key) throws IOException {
    requireThere(key);
    switch (key) {
      case Opcodes.GLOBAL -> global(line(), line());
      case Opcodes.STACK_GLOBAL -> {
        String name = (String) stack.pop();
        global((String) stack.pop(), name);
      }
      case Opcodes.INST -> throw refused(file, line() + "." + line());
      case Opcodes.EMPTY_DICT -> stack.add(new LinkedHashMap<>());
      case Opcodes.SETITEM -> {
        Object value = stack.pop();
        Object name = stack.pop();
        put(stack.peek(), name, value);
      }
      case Opcodes.SETITEMS -> {
        List<Object> pairs = stack.pop_all_since_marker();
        for (int i = 0; i < pairs.size(); i += 2) {
          put(stack.peek(), pairs.get(i), pairs.get(i + 1));
        }
      }
      case Opcodes.APPENDS -> {
        List<Object> items = stack.pop_all_since_marker();
        addAll(stack.peek(), items);
      }
      case Opcodes.BUILD -> build();
      default -> {
        if (!TAKEN.contains(key)) {
          throw Problem.data(
              "%s: byte %d of this pickle is %d, which no pickle of torch has: it is refused"
                  .formatted(file, source.position() - 1, key));
        }
        return super.dispatch(key);
      }
    }
    return NO_RETURN_VALUE;
  }

  /** The library makes room for a text before it reads it: one that cannot be there is refused. */
  private void requireThere(short key) throws IOException {
    if (key == Opcodes.BINUNICODE || key == Opcodes.BINSTRING) {
      long length = source.peek(Integer.BYTES);
      if (length < 0 || length > PickleInput.MOST_BYTES - source.position()) {
        throw new PickleException("a text of " + length + " bytes");
      }
    }
  }

  private String line() throws IOException {
    return PickleUtils.readline(source);
  }

  private void global(String module, String name) {
    stack.add(new Name(file, module + "." + name));
  }

  /** Attributes of a dictionary say nothing of its tensors; of anything else they are a call. */
  private void build() {
    stack.pop();
    Object target = stack.peek();
    if (!(target instanceof Map)) {
      throw refused(file, "__setstate__ of " + kind(target));
    }
  }

  /** What an object is, in a word: its content might be without end. */
  private static String kind(@Nullable Object object) {
    if (object instanceof Name name) {
      return name.name();
    }
    return object == null ? "None" : object.getClass().getSimpleName();
  }

  @SuppressWarnings("unchecked")
  private static void put(Object map, @Nullable Object key, @Nullable Object value) {
    if (key instanceof Collection || key instanceof Map) {
      throw new PickleException("a container is a key"); // its hash might have no end
    }
    ((Map<Object, Object>) map).put(key, value);
  }

  @SuppressWarnings("unchecked")
  private static void addAll(Object list, List<Object> items) {
    ((ArrayList<Object>) list).addAll(items);
  }

  private static Object emptyDictionary(Object[] args) {
    if (args.length > 0) {
      throw new PickleException("a dictionary made of another container");
    }
    return new LinkedHashMap<>();
  }

  private static Object tensor(Object[] args) {
    return new TorchTensor(
        (TorchTensor.Storage) args[0],
        ((Number) args[1]).longValue(),
        longs((Object[]) args[2]),
        longs((Object[]) args[3]));
  }

  private static long[] longs(Object[] numbers) {
    if (numbers.length > TorchTensor.MOST_AXES) {
      throw new PickleException("a tensor of " + numbers.length + " axes");
    }
    long[] values = new long[numbers.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = ((Number) numbers[i]).longValue();
    }
    return values;
  }

  /** A storage: its type, its name in the file and its length; perhaps a part of another one. */
  @Override
  protected Object persistentLoad(Object id) {
    Object[] parts = (Object[]) id;
    if (!"storage".equals(parts[0])) {
      throw refused(file, "a persistent object that is no storage");
    }
    String type = ((Name) parts[1]).name();
    DType dtype = STORAGES.get(type);
    if (dtype == null) {
      throw Problem.data(
          "%s: numbers of type %s are not read, only %s"
              .formatted(file, type, String.join(", ", STORAGES.keySet())));
    }
    String key = (String) parts[2];
    types.put(key, dtype);
    if (parts.length > 5 && parts[5] instanceof Object[] part) {
      long start = ((Number) part[1]).longValue();
      return new TorchTensor.Storage(dtype, key, start, ((Number) part[2]).longValue());
    }
    return new TorchTensor.Storage(dtype, key, 0, ((Number) parts[4]).longValue());
  }
}
