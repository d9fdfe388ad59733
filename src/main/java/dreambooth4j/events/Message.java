package dreambooth4j.events;

import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.DescriptorValidationException;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.TextFormat;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/** A message of TensorBoard's, put together field by field. Fields are known by their names. */
final class Message {
  private static final FileDescriptor FILE = file();

  private final DynamicMessage.Builder builder;

  private Message(Descriptor type) {
    builder = DynamicMessage.newBuilder(type);
  }

  /** An empty event. */
  static Message event() {
    return new Message(type());
  }

  /** What an event is. */
  static Descriptor type() {
    return FILE.findMessageTypeByName("Event");
  }

  /** Sets a field to a number, a text or bytes; of a list it adds one. */
  Message with(String name, Object value) {
    FieldDescriptor field = field(builder.getDescriptorForType(), name);
    if (field.isRepeated()) {
      builder.addRepeatedField(field, value);
    } else {
      builder.setField(field, value);
    }
    return this;
  }

  /** Sets a field to a message, or of a list adds one. */
  Message with(String name, Message value) {
    return with(name, value.built());
  }

  /** An empty message for a field. */
  Message inside(String... names) {
    Descriptor type = builder.getDescriptorForType();
    for (String name : names) {
      type = field(type, name).getMessageType();
    }
    return new Message(type);
  }

  DynamicMessage built() {
    return builder.build();
  }

  /** A field of a message that was read. */
  static Object get(DynamicMessage message, String name) {
    return message.getField(field(message.getDescriptorForType(), name));
  }

  private static FieldDescriptor field(Descriptor type, String name) {
    return Objects.requireNonNull(type.findFieldByName(name), name);
  }

  private static FileDescriptor file() {
    try (InputStream in =
        Objects.requireNonNull(Message.class.getResourceAsStream("event.textproto"))) {
      FileDescriptorProto.Builder file = FileDescriptorProto.newBuilder();
      TextFormat.merge(new InputStreamReader(in, StandardCharsets.UTF_8), file);
      return FileDescriptor.buildFrom(file.build(), new FileDescriptor[0]);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (DescriptorValidationException e) {
      throw new IllegalStateException(e);
    }
  }
}
