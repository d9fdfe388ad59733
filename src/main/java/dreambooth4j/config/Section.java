package dreambooth4j.config;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The keys of one record of the configuration, which stand beside its components: whoever adds a
 * key adds it there and nowhere else.
 *
 * @param <R> the record
 */
final class Section<R> {
  private final Key.Group group;
  private final List<Key<R, ?>> keys = new ArrayList<>();

  Section(Key.Group group) {
    this.group = group;
  }

  /** Begins a key that lies in the record; its {@code help} ends it and adds it here. */
  <T> Key.Builder<R, T> key(String name, ValueType<T> type, Function<R, @Nullable T> getter) {
    return new Key.Builder<>(group, keys::add, name, type, getter);
  }

  /** Begins a key that is another way of saying something: it is read, and never written. */
  <T> Key.Builder<R, T> key(String name, ValueType<T> type) {
    return key(name, type, subject -> null);
  }

  /** All of them, in the order of {@code --help}. */
  List<Key<R, ?>> keys() {
    return Collections.unmodifiableList(keys);
  }
}
