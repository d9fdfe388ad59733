package dreambooth4j;

import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Map;

/** Records with other components, whatever else they have. */
public final class TestRecords {
  private TestRecords() {}

  /** The record with these components by name; a value may be null. */
  public static <R extends Record> R with(R record, Map<String, ?> values) {
    try {
      RecordComponent[] components = record.getClass().getRecordComponents();
      Object[] arguments = new Object[components.length];
      for (int i = 0; i < components.length; i++) {
        String name = components[i].getName();
        arguments[i] =
            values.containsKey(name)
                ? values.get(name)
                : components[i].getAccessor().invoke(record);
      }
      Class<?>[] types =
          Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
      @SuppressWarnings("unchecked")
      R made = (R) record.getClass().getDeclaredConstructor(types).newInstance(arguments);
      return made;
    } catch (ReflectiveOperationException e) {
      throw new IllegalArgumentException("no such record", e);
    }
  }
}
