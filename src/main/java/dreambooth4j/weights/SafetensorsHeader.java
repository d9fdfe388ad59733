package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonParser.NumberType;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import dreambooth4j.Problem;
import dreambooth4j.engine.DType;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The header of a safetensors file: eight bytes of length, little-endian, then so many bytes of
 * JSON. It is not trusted: it is parsed as a stream, and its tensors must tile the rest of the file
 * without a gap, an overlap or a byte left over.
 *
 * @param tensors in the order of their bytes; cannot be changed
 * @param metadata cannot be changed
 */
record SafetensorsHeader(Map<String, TensorInfo> tensors, Map<String, String> metadata) {
  /** As the format's own library. */
  private static final long MAX_LENGTH = 100_000_000;

  /** As libtorch. */
  private static final int MAX_RANK = 64;

  private static final int LENGTH_BYTES = 8;

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(8)
                  .maxStringLength((int) MAX_LENGTH)
                  .build())
          .build();

  /**
   * Reads the header of an open file.
   *
   * @throws Problem when it is not what the format demands
   */
  static SafetensorsHeader read(Path file, FileChannel channel) throws IOException {
    long size = channel.size();
    if (size < LENGTH_BYTES) {
      throw bad(file, "expected a safetensors header, found a file of " + size + " bytes");
    }
    InputStream in = Channels.newInputStream(channel.position(0));
    long length =
        ByteBuffer.wrap(in.readNBytes(LENGTH_BYTES)).order(ByteOrder.LITTLE_ENDIAN).getLong();
    long most = Math.min(MAX_LENGTH, size - LENGTH_BYTES);
    if (length < 2 || length > most) {
      throw bad(
          file,
          "expected a header of 2 to %d bytes, found a length of %s: not a safetensors file, or a truncated one"
              .formatted(most, Long.toUnsignedString(length)));
    }
    Reading reading = new Reading(file, LENGTH_BYTES + length);
    try (JsonParser parser = JSON.createParser(text(in.readNBytes((int) length)))) {
      reading.all(parser);
    } catch (JsonProcessingException e) {
      throw new Problem(
          Problem.Kind.DATA, file + ": the header is not valid JSON: " + JsonFile.why(e), e);
    } catch (CharacterCodingException e) {
      throw new Problem(
          Problem.Kind.DATA, file + ": the header is not valid JSON: no UTF-8 text", e);
    }
    return reading.checked(size);
  }

  /** The header's text; anything but UTF-8 is an error. */
  private static Reader text(byte[] bytes) {
    return new InputStreamReader(
        new ByteArrayInputStream(bytes),
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT));
  }

  private static Problem bad(Path file, String what) {
    return Problem.data(file + ": " + what);
  }

  /** One pass over the JSON. */
  private static final class Reading {
    private final Path file;
    private final long dataStart;
    private final List<TensorInfo> tensors = new ArrayList<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    Reading(Path file, long dataStart) {
      this.file = file;
      this.dataStart = dataStart;
    }

    void all(JsonParser parser) throws IOException {
      expect(parser.nextToken(), JsonToken.START_OBJECT, "the header");
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        expect(parser.nextToken(), JsonToken.START_OBJECT, name);
        if (name.equals("__metadata__")) {
          metadata(parser);
        } else {
          tensors.add(tensor(parser, name));
        }
      }
      JsonToken after = parser.nextToken();
      if (after != null) {
        throw bad(file, "expected the header to end after its object, found " + after);
      }
    }

    private void metadata(JsonParser parser) throws IOException {
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String key = parser.currentName();
        expect(parser.nextToken(), JsonToken.VALUE_STRING, "__metadata__ " + key);
        metadata.put(key, parser.getText());
      }
    }

    private TensorInfo tensor(JsonParser parser, String name) throws IOException {
      DType dtype = null;
      List<Long> shape = null;
      List<Long> range = null;
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String key = parser.currentName();
        JsonToken value = parser.nextToken();
        switch (key) {
          case "dtype" -> {
            expect(value, JsonToken.VALUE_STRING, "tensor " + name + ": dtype");
            dtype = dtype(name, parser.getText());
          }
          case "shape" -> shape = longs(parser, "tensor " + name + ": shape", MAX_RANK);
          case "data_offsets" -> range = longs(parser, "tensor " + name + ": data_offsets", 2);
          default -> throw bad(file, "tensor %s: unexpected key %s".formatted(name, key));
        }
      }
      if (dtype == null || shape == null || range == null || range.size() != 2) {
        throw bad(
            file,
            "tensor %s: expected dtype, shape and two data_offsets, found dtype=%s shape=%s data_offsets=%s"
                .formatted(name, dtype, shape, range));
      }
      return tensor(name, dtype, shape, range.get(0), range.get(1));
    }

    private TensorInfo tensor(String name, DType dtype, List<Long> shape, long begin, long end) {
      TensorInfo info = new TensorInfo(name, dtype, shape, begin);
      long bytes;
      try {
        bytes = info.bytes();
        info = new TensorInfo(name, dtype, shape, Math.addExact(dataStart, begin));
      } catch (ArithmeticException e) {
        throw bad(
            file,
            "tensor %s: %s%s at %d is more than any file can hold"
                .formatted(name, dtype, shape, begin));
      }
      if (end - begin != bytes) {
        throw bad(
            file,
            "tensor %s: expected %d bytes for %s%s, found data_offsets %d to %d"
                .formatted(name, bytes, dtype, shape, begin, end));
      }
      return info;
    }

    private DType dtype(String name, String text) {
      for (DType each : DType.values()) {
        if (each.name().equals(text)) {
          return each;
        }
      }
      throw bad(
          file,
          "tensor %s: expected a dtype of %s, found %s"
              .formatted(name, Arrays.toString(DType.values()), text));
    }

    private List<Long> longs(JsonParser parser, String where, int most) throws IOException {
      expect(parser.currentToken(), JsonToken.START_ARRAY, where);
      List<Long> values = new ArrayList<>();
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        expect(parser.currentToken(), JsonToken.VALUE_NUMBER_INT, where);
        if (parser.getNumberType() == NumberType.BIG_INTEGER || parser.getLongValue() < 0) {
          throw bad(file, where + ": expected a size from 0 on, found " + parser.getText());
        }
        values.add(parser.getLongValue());
        if (values.size() > most) {
          throw bad(file, where + ": expected at most " + most + " numbers, found more");
        }
      }
      return Collections.unmodifiableList(values);
    }

    private void expect(@Nullable JsonToken found, JsonToken expected, String where) {
      if (found != expected) {
        throw bad(file, "%s: expected %s, found %s".formatted(where, expected, found));
      }
    }

    SafetensorsHeader checked(long fileSize) {
      tensors.sort(
          Comparator.comparingLong(TensorInfo::offset).thenComparingLong(TensorInfo::bytes));
      Map<String, TensorInfo> byName = new LinkedHashMap<>();
      long next = dataStart;
      for (TensorInfo each : tensors) {
        if (each.offset() != next) {
          throw bad(
              file,
              "tensor %s: expected its bytes to begin at %d, where the one before it ends, found %d: %s"
                  .formatted(
                      each.name(),
                      next - dataStart,
                      each.offset() - dataStart,
                      each.offset() < next ? "they overlap" : "there is a hole"));
        }
        next = Math.addExact(next, each.bytes());
        if (next > fileSize) {
          throw bad(
              file,
              "tensor %s: expected a file of at least %d bytes, found %d: it is truncated"
                  .formatted(each.name(), next, fileSize));
        }
        byName.put(each.name(), each);
      }
      if (next != fileSize) {
        throw bad(
            file, "expected a file of %d bytes by its header, found %d".formatted(next, fileSize));
      }
      return new SafetensorsHeader(
          Collections.unmodifiableMap(byName), Collections.unmodifiableMap(metadata));
    }
  }
}
