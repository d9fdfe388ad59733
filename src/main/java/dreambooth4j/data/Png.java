package dreambooth4j.data;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOInvalidTreeException;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.ImageOutputStream;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Pictures as PNG files, in memory: the caller decides where and how safely they are written. */
public final class Png {
  private static final String FORMAT = "javax_imageio_png_1.0";

  private Png() {}

  /** The picture as an 8-bit RGB PNG file. */
  public static byte[] encode(Pixels picture) {
    return encode(picture, Map.of());
  }

  /**
   * The picture as an 8-bit RGB PNG file that carries texts.
   *
   * @param texts by their keyword, Latin letters and at most 79 of them; web interfaces look for
   *     {@code parameters}
   */
  public static byte[] encode(Pixels picture, Map<String, String> texts) {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("png").next();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
      BufferedImage image = Rgb.image(picture);
      writer.setOutput(out);
      writer.write(new IIOImage(image, null, metadata(writer, image, texts)));
    } catch (IOException e) {
      throw new UncheckedIOException("a picture in memory could not be encoded", e);
    } finally {
      writer.dispose();
    }
    return bytes.toByteArray();
  }

  private static IIOMetadata metadata(
      ImageWriter writer, BufferedImage image, Map<String, String> texts)
      throws IIOInvalidTreeException {
    IIOMetadata metadata =
        writer.getDefaultImageMetadata(
            new ImageTypeSpecifier(image), writer.getDefaultWriteParam());
    if (!texts.isEmpty()) {
      IIOMetadataNode root = new IIOMetadataNode(FORMAT);
      texts.forEach((keyword, text) -> root.appendChild(chunk(keyword, text)));
      metadata.mergeTree(FORMAT, root);
    }
    return metadata;
  }

  /** A tEXt chunk where Latin-1 can hold the text, which every reader knows, else an iTXt chunk. */
  private static IIOMetadataNode chunk(String keyword, String text) {
    boolean latin = StandardCharsets.ISO_8859_1.newEncoder().canEncode(text);
    IIOMetadataNode entry = new IIOMetadataNode(latin ? "tEXtEntry" : "iTXtEntry");
    entry.setAttribute("keyword", keyword);
    if (latin) {
      entry.setAttribute("value", text);
    } else {
      entry.setAttribute("compressionFlag", "FALSE");
      entry.setAttribute("compressionMethod", "0");
      entry.setAttribute("languageTag", "");
      entry.setAttribute("translatedKeyword", "");
      entry.setAttribute("text", text);
    }
    IIOMetadataNode chunk = new IIOMetadataNode(latin ? "tEXt" : "iTXt");
    chunk.appendChild(entry);
    return chunk;
  }
}
