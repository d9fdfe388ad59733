package dreambooth4j.data;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.sun.management.ThreadMXBean;
import dreambooth4j.Problem;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImageReaderTest {
  private static final Path FIXTURES = Path.of("src/test/resources/pictures");
  private static final Bucket SAME = new Bucket(24, 16);

  @TempDir Path folder;

  private static Pixels upright() {
    return ImageReader.read(FIXTURES.resolve("upright.png"), SAME);
  }

  private static int largestDifference(Pixels a, Pixels b) {
    int largest = 0;
    for (int i = 0; i < a.rgb().length; i++) {
      largest = Math.max(largest, Math.abs((a.rgb()[i] & 0xFF) - (b.rgb()[i] & 0xFF)));
    }
    return largest;
  }

  private Path write(BufferedImage image, String name) throws IOException {
    Path file = folder.resolve(name);
    String format = PictureFile.extension(file);
    assertThat(ImageIO.write(image, format, file.toFile())).as("ImageIO writes " + format).isTrue();
    return file;
  }

  @ParameterizedTest
  @CsvSource({
    "orientation-1.jpg, 10", "orientation-2.jpg, 10", "orientation-3.jpg, 10",
    "orientation-4.jpg, 10", "orientation-5.jpg, 10", "orientation-6.jpg, 10",
    "orientation-7.jpg, 10", "orientation-8.jpg, 10", "orientation-6.png, 0",
    "orientation-6.webp, 0", "orientation-6.tif, 0", "lossless.webp, 0",
    "lossy.webp, 40", "cmyk.jpg, 10"
  })
  void shouldReadEveryFormatUpright(String name, int tolerance) {
    Path file = FIXTURES.resolve(name);
    assertThat(ImageReader.size(file)).isEqualTo(new ImageSize(24, 16));
    assertThat(largestDifference(ImageReader.read(file, SAME), upright()))
        .isLessThanOrEqualTo(tolerance);
  }

  @ParameterizedTest
  @CsvSource({"png, 0", "bmp, 0", "tif, 0", "tiff, 0", "jpg, 60", "jpeg, 60"})
  void shouldReadWhatTheJdkWrites(String extension, int tolerance) throws IOException {
    BufferedImage image = ImageIO.read(FIXTURES.resolve("upright.png").toFile());
    Path file = write(image, "a." + extension);
    assertThat(largestDifference(ImageReader.read(file, SAME), upright()))
        .isLessThanOrEqualTo(tolerance);
  }

  @Test
  void shouldReadPalettes() throws IOException {
    byte[] values = {10, 100, (byte) 200, (byte) 255};
    IndexColorModel palette = new IndexColorModel(2, 4, values, values, values);
    BufferedImage image = new BufferedImage(4, 4, BufferedImage.TYPE_BYTE_BINARY, palette);
    for (int i = 0; i < 16; i++) {
      image.getRaster().setSample(i % 4, i / 4, 0, i % 4);
    }
    for (String name : new String[] {"palette.png", "palette.gif"}) {
      Pixels pixels = ImageReader.read(write(image, name), new Bucket(4, 4));
      assertThat(pixels.rgb())
          .as(name)
          .startsWith(10, 10, 10, 100, 100, 100, 200, 200, 200, 255, 255, 255);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {BufferedImage.TYPE_BYTE_GRAY, BufferedImage.TYPE_USHORT_GRAY})
  void shouldTakeGreySamplesAsTheyStand(int type) throws IOException {
    BufferedImage image = new BufferedImage(16, 16, type);
    int full = type == BufferedImage.TYPE_BYTE_GRAY ? 255 : 65_535;
    for (int i = 0; i < 256; i++) {
      image.getRaster().setSample(i % 16, i / 16, 0, (int) Math.round(i / 255.0 * full));
    }
    for (String name : new String[] {"grey.png", "grey.tif"}) {
      Pixels pixels = ImageReader.read(write(image, name), new Bucket(16, 16));
      for (int i = 0; i < 256; i++) {
        assertThat(pixels.rgb()[3 * i + 1] & 0xFF).as(name).isEqualTo(i);
      }
    }
  }

  @Test
  void shouldReadSixteenBitsAChannel() {
    Pixels pixels = ImageReader.read(FIXTURES.resolve("rgb16.png"), new Bucket(16, 16));
    for (int i = 0; i < 256; i++) {
      assertThat(pixels.rgb()[3 * i] & 0xFF).isEqualTo(i);
      assertThat(pixels.rgb()[3 * i + 2] & 0xFF).isEqualTo(255 - i);
    }
  }

  @Test
  void shouldLayTransparentPicturesOnWhite() throws IOException {
    BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_ARGB);
    image.setRGB(0, 0, 0x80_00_00_00);
    image.setRGB(1, 0, 0xFF_10_20_30);
    byte[] rgb = ImageReader.read(write(image, "alpha.png"), new Bucket(8, 8)).rgb();
    assertThat(Arrays.copyOf(rgb, 9)).startsWith(127, 127, 127, 0x10, 0x20, 0x30, 255, 255, 255);
    byte[] webp = ImageReader.read(FIXTURES.resolve("alpha.webp"), SAME).rgb();
    assertThat(Arrays.copyOf(webp, 3)).containsExactly(255, 255, 255);
    byte[] grey = ImageReader.read(FIXTURES.resolve("grey-alpha.png"), new Bucket(16, 16)).rgb();
    assertThat(Arrays.copyOf(grey, 9)).containsExactly(255, 255, 255, 127, 127, 127, 90, 90, 90);
  }

  /** Pillow's LANCZOS is what the extension scales with. */
  @Test
  void shouldScaleAsPillowDoes() {
    Pixels ours = ImageReader.read(FIXTURES.resolve("noise.png"), new Bucket(24, 16));
    Pixels theirs = ImageReader.read(FIXTURES.resolve("noise-lanczos-24x16.png"), SAME);
    assertThat(ours.rgb()).isEqualTo(theirs.rgb());
    Pixels larger = ImageReader.read(FIXTURES.resolve("noise.png"), new Bucket(90, 60));
    Pixels theirLarger =
        ImageReader.read(FIXTURES.resolve("noise-lanczos-90x60.png"), new Bucket(90, 60));
    assertThat(larger.rgb()).isEqualTo(theirLarger.rgb());
  }

  @Test
  void shouldCoverTheBucketAndCropAboutTheCentre() throws IOException {
    BufferedImage image = new BufferedImage(300, 100, BufferedImage.TYPE_INT_RGB);
    for (int x = 0; x < 300; x++) {
      for (int y = 0; y < 100; y++) {
        image.setRGB(x, y, x < 100 ? 0xFF0000 : x < 200 ? 0x00FF00 : 0x0000FF);
      }
    }
    Pixels pixels = ImageReader.read(write(image, "wide.png"), new Bucket(32, 32));
    assertThat(pixels.width()).isEqualTo(32);
    assertThat(pixels.height()).isEqualTo(32);
    int middle = 3 * (16 * 32 + 16);
    assertThat(Arrays.copyOfRange(pixels.rgb(), middle, middle + 3)).containsExactly(0, 255, 0);
    int nearEdge = 3 * (16 * 32 + 4);
    assertThat(pixels.rgb()[nearEdge + 1] & 0xFF).isGreaterThan(240);
  }

  @Test
  void shouldMirrorAndScaleValues() {
    Pixels pixels = new Pixels(2, 1, new byte[] {0, 51, (byte) 255, 3, 4, 5});
    assertThat(pixels.hflip().rgb()).containsExactly(3, 4, 5, 0, 51, 255);
    assertThat(Arrays.copyOf(pixels.toFloats(), 3)).containsExactly(-1f, -0.6f, 1f);
  }

  @Test
  void shouldNameATextFileThatIsCalledAPicture() throws IOException {
    Path file = Files.writeString(folder.resolve("notes.jpg"), "a man in a hat");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.size(file))
        .withMessageContaining("notes.jpg is not a picture")
        .withMessageContaining("holds text")
        .withMessageContaining("Remove it")
        .matches(problem -> problem.kind() == Problem.Kind.DATA);
  }

  @Test
  void shouldRefuseEmptyFilesOtherKindsAndCameraFormatsByName() throws IOException {
    Path empty = Files.createFile(folder.resolve("empty.png"));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.size(empty))
        .withMessageContaining("it is empty");
    Path pdf = Files.writeString(folder.resolve("a.png"), "%PDF-1.4 ");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.size(pdf))
        .withMessageContaining("Portable Document Format");
    Path avif = Files.copy(FIXTURES.resolve("picture.avif"), folder.resolve("renamed.jpg"));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.read(avif, SAME))
        .withMessageContaining("AVIF")
        .withMessageContaining("convert it");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.size(folder.resolve("gone.png")))
        .withMessageContaining("is not there");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"noise.png", "orientation-1.jpg", "lossless.webp", "lossy.webp", "cmyk.jpg"})
  void shouldRefuseACutFileAndNameIt(String name) throws IOException {
    byte[] bytes = Files.readAllBytes(FIXTURES.resolve(name));
    Path file = folder.resolve("cut-" + name);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - bytes.length / 4));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.read(file, SAME))
        .withMessageContaining(file.toString())
        .withMessageContaining("damaged");
  }

  @Test
  void shouldRefuseADecompressionBombByItsHeader() throws IOException {
    Path bomb = folder.resolve("bomb.png");
    Files.write(bomb, pngHeader(60_000, 60_000));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.read(bomb, SAME))
        .withMessageContaining("60000 x 60000")
        .withMessageContaining("100 million");
    Path strip = folder.resolve("strip.png");
    Files.write(strip, pngHeader(30_000, 10));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.size(strip))
        .withMessageContaining("30000 x 10");
  }

  /** Bytes that this thread allocates on the heap meanwhile. */
  private static long allocated(Runnable work) {
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    work.run();
    return threads.getCurrentThreadAllocatedBytes() - before;
  }

  @ParameterizedTest
  @CsvSource({"upright.png, zTXt", "upright.png, iTXt", "upright.png, iCCP", "palette.png, zTXt"})
  void shouldNotInflateWhatIsNoPixel(String name, String chunk) throws IOException {
    byte[] png;
    if (name.equals("palette.png")) {
      BufferedImage image = new BufferedImage(24, 16, BufferedImage.TYPE_BYTE_INDEXED);
      png = Files.readAllBytes(write(image, name));
    } else {
      png = Files.readAllBytes(FIXTURES.resolve(name));
    }
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    // A keyword, its end, the method of compression; iTXt has two more texts and a flag.
    data.write((chunk.equals("iTXt") ? "Comment\0\1\0\0\0" : "Comment\0\0").getBytes(ISO_8859_1));
    try (DeflaterOutputStream out = new DeflaterOutputStream(data)) {
      byte[] zeros = new byte[1 << 20];
      for (int i = 0; i < 200; i++) {
        out.write(zeros);
      }
    }
    int afterHeader = 8 + 25;
    ByteBuffer file = ByteBuffer.allocate(png.length + 12 + data.size());
    file.put(png, 0, afterHeader).putInt(data.size()).put(chunk.getBytes(ISO_8859_1));
    CRC32 crc = new CRC32();
    crc.update(chunk.getBytes(ISO_8859_1));
    crc.update(data.toByteArray());
    file.put(data.toByteArray()).putInt((int) crc.getValue());
    file.put(png, afterHeader, png.length - afterHeader);
    Path bomb = Files.write(folder.resolve("bomb.png"), file.array());
    Path plain = Files.write(folder.resolve("plain.png"), png);
    byte[] expected = ImageReader.read(plain, SAME).rgb();
    long bytes =
        allocated(() -> assertThat(ImageReader.read(bomb, SAME).rgb()).isEqualTo(expected));
    assertThat(bytes).isLessThan(20 << 20);
  }

  @Test
  void shouldRefuseAJpegOfThousandsOfScans() throws IOException {
    byte[] jpeg = Files.readAllBytes(FIXTURES.resolve("orientation-1.jpg"));
    int scan = -1;
    for (int i = 0; i + 1 < jpeg.length; i++) {
      scan = (jpeg[i] & 0xFF) == 0xFF && (jpeg[i + 1] & 0xFF) == 0xDA ? i : scan;
    }
    int length = jpeg.length - 2 - scan;
    ByteBuffer many = ByteBuffer.allocate(jpeg.length + 5000 * length);
    many.put(jpeg, 0, jpeg.length - 2);
    for (int i = 0; i < 5000; i++) {
      many.put(jpeg, scan, length);
    }
    Path file =
        Files.write(folder.resolve("scans.jpg"), many.put(jpeg, jpeg.length - 2, 2).array());
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.read(file, SAME))
        .withMessageContaining("scans.jpg has 5,001 scans");
  }

  @Test
  void shouldReadProgressiveJpegs() throws IOException {
    BufferedImage image = ImageIO.read(FIXTURES.resolve("upright.png").toFile());
    Path file = folder.resolve("progressive.jpg");
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    try (ImageOutputStream out = ImageIO.createImageOutputStream(file.toFile())) {
      ImageWriteParam how = writer.getDefaultWriteParam();
      how.setProgressiveMode(ImageWriteParam.MODE_DEFAULT);
      writer.setOutput(out);
      writer.write(null, new IIOImage(image, null, null), how);
    }
    assertThat(largestDifference(ImageReader.read(file, SAME), upright())).isLessThanOrEqualTo(60);
  }

  @Test
  void shouldSayInWordsThatAFileEndsTooSoon() throws IOException {
    Path file = folder.resolve("cut.bmp");
    ImageIO.write(new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB), "bmp", file.toFile());
    Files.write(file, Arrays.copyOf(Files.readAllBytes(file), 3000));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.read(file, SAME))
        .withMessage(file + " cannot be read: it seems damaged (it ends too soon)");
  }

  @Test
  @Timeout(10)
  void shouldReadAGifPastACommentOfMegabytes() throws IOException {
    ByteArrayOutputStream gif = new ByteArrayOutputStream();
    BufferedImage image = new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB);
    image.setRGB(3, 5, 0xFF0000);
    ImageIO.write(image, "gif", gif);
    byte[] plain = gif.toByteArray();
    int colours = 13 + (3 << ((plain[10] & 7) + 1));
    ByteArrayOutputStream commented = new ByteArrayOutputStream();
    commented.write(plain, 0, colours);
    commented.write(new byte[] {0x21, (byte) 0xFE});
    byte[] block = new byte[256];
    block[0] = (byte) 255;
    for (int i = 0; i < 50_000; i++) {
      commented.write(block);
    }
    commented.write(0);
    commented.write(plain, colours, plain.length - colours);
    Path file = Files.write(folder.resolve("long.gif"), commented.toByteArray());
    Path same = Files.write(folder.resolve("plain.gif"), plain);
    assertThat(largestDifference(ImageReader.read(file, SAME), ImageReader.read(same, SAME)))
        .isZero();
    Files.write(file, Arrays.copyOf(plain, 20));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ImageReader.size(file))
        .withMessageContaining("long.gif cannot be read");
  }

  /** In a list of their places, millions of blocks would take more memory than the file has. */
  @Test
  @Timeout(10)
  void shouldKeepOneOfMillionsOfBlocksOfAGif() throws IOException {
    ByteArrayOutputStream gif = new ByteArrayOutputStream();
    BufferedImage image = new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB);
    image.setRGB(3, 5, 0xFF0000);
    ImageIO.write(image, "gif", gif);
    byte[] plain = gif.toByteArray();
    int colours = 13 + (3 << ((plain[10] & 7) + 1));
    byte[] control = {0x21, (byte) 0xF9, 4, 0, 0, 0, 0, 0};
    ByteArrayOutputStream many = new ByteArrayOutputStream();
    many.write(plain, 0, colours);
    for (int i = 0; i < 2_000_000; i++) {
      many.write(control);
    }
    many.write(plain, colours, plain.length - colours);
    Path file = Files.write(folder.resolve("many.gif"), many.toByteArray());
    Path same = Files.write(folder.resolve("plain.gif"), plain);
    try (FileChannel channel = FileChannel.open(file)) {
      assertThat(GifBlocks.pictureOf(PictureStream.whole(file, channel))).hasSize(3);
    }
    assertThat(largestDifference(ImageReader.read(file, SAME), ImageReader.read(same, SAME)))
        .isZero();
  }

  /** A file that says it is a terabyte long takes no place on the disk. */
  @ParameterizedTest
  @ValueSource(strings = {"orientation-6.jpg", "upright.png", "lossy.webp", "orientation-6.tif"})
  @Timeout(10)
  void shouldRefuseFilesThatNoPictureFills(String name) throws IOException {
    for (String copy : new String[] {"a-" + name, "b-" + name}) {
      Path file = Files.copy(FIXTURES.resolve(name), folder.resolve(copy));
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.write(ByteBuffer.wrap(new byte[1]), 1L << 40);
      }
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> ImageReader.size(file))
          .withMessageContaining(copy + " has 1,099,511,627,777 bytes; a picture has at most");
    }
    assertThat(Duplicates.among(List.of(folder.resolve("a-" + name), folder.resolve("b-" + name))))
        .isEmpty();
  }

  /** Tags that say they are gigabytes long, in files that take a few bytes of the disk. */
  @ParameterizedTest
  @CsvSource({"270, 2, 1900000000", "700, 3, 900000000", "40000, 4, 400000000"})
  @Timeout(10)
  void shouldNotReadTheTagsOfATiffThatNobodyNeeds(int tag, int type, int count) throws IOException {
    int[][] tags = {
      {256, 3, 1, 8}, {257, 3, 1, 8}, {258, 3, 1, 8}, {259, 3, 1, 1}, {262, 3, 1, 1},
      {273, 4, 1, 1000}, {274, 3, 1, 6}, {277, 3, 1, 1}, {278, 3, 1, 8}, {279, 4, 1, 64},
      {tag, type, count, 1100}
    };
    Arrays.sort(tags, Comparator.comparingInt(each -> each[0]));
    ByteBuffer tiff = ByteBuffer.allocate(1100).order(ByteOrder.LITTLE_ENDIAN);
    tiff.put("II*\0".getBytes(ISO_8859_1)).putInt(8).putShort((short) tags.length);
    for (int[] each : tags) {
      tiff.putShort((short) each[0]).putShort((short) each[1]).putInt(each[2]).putInt(each[3]);
    }
    Path file = Files.write(folder.resolve("tags.tif"), tiff.array());
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[1]), 2_000_000_000L);
    }
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
    assertThat(ImageReader.size(file)).isEqualTo(new ImageSize(8, 8));
    assertThat(ImageReader.read(file, new Bucket(8, 8)).rgb()).hasSize(192);
    assertThat(threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - before)
        .isLessThan(10_000_000);
  }

  @Test
  void shouldEndTheSearchForScansWhenItsTimeIsOver() throws IOException {
    Path file = FIXTURES.resolve("orientation-6.jpg");
    try (FileChannel channel = FileChannel.open(file)) {
      List<PictureStream.Range> all = List.of(new PictureStream.Range(0, channel.size()));
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(
              () -> JpegScans.count(new PictureStream(file, channel, all, Duration.ofNanos(-1))))
          .withMessageContaining("takes too long to decode");
    }
  }

  /** As a TIFF's tags may lie, which a decoder reads as numbers. */
  @Test
  void shouldReadNumbersWhereverTheyLie() throws IOException {
    ByteBuffer numbers = ByteBuffer.allocate(40_003);
    for (int at = 3; at < numbers.capacity(); at += 4) {
      numbers.putInt(at, at);
    }
    Path file = Files.write(folder.resolve("numbers"), numbers.array());
    try (FileChannel channel = FileChannel.open(file);
        PictureStream in = PictureStream.whole(file, channel)) {
      in.seek(3);
      for (int at = 3; at < numbers.capacity(); at += 4) {
        assertThat(in.readInt()).isEqualTo(at);
      }
      assertThat(in.read(new byte[4])).isEqualTo(-1);
    }
  }

  @Test
  void shouldEndADecoderWhoseTimeIsOver() throws IOException {
    Path file = FIXTURES.resolve("noise.png");
    try (FileChannel channel = FileChannel.open(file);
        PictureStream stream =
            new PictureStream(
                file,
                channel,
                List.of(new PictureStream.Range(0, channel.size())),
                Duration.ofNanos(-1))) {
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(stream::read)
          .withMessageContaining("noise.png takes too long to decode");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"lossless.webp", "lossy.webp", "alpha.webp"})
  void shouldRefuseAWebPThatLacksItsLastBytes(String name) throws IOException {
    byte[] bytes = Files.readAllBytes(FIXTURES.resolve(name));
    Path file = folder.resolve(name);
    for (int lacking : new int[] {1, bytes.length / 100, bytes.length / 20}) {
      Files.write(file, Arrays.copyOf(bytes, bytes.length - Math.max(1, lacking)));
      assertThatExceptionOfType(Problem.class)
          .as("%d bytes cut off", lacking)
          .isThrownBy(() -> ImageReader.size(file))
          .withMessageContaining("damaged (it has");
    }
  }

  /** A PNG that is nothing but its header. */
  private static byte[] pngHeader(int width, int height) {
    ByteBuffer png = ByteBuffer.allocate(8 + 25);
    png.putLong(0x89504E470D0A1A0AL).putInt(13).putInt(0x49484452).putInt(width).putInt(height);
    png.put(new byte[] {8, 2, 0, 0, 0});
    CRC32 crc = new CRC32();
    crc.update(png.array(), 12, 17);
    return png.putInt((int) crc.getValue()).array();
  }
}
