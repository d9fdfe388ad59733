package dreambooth4j.engine.kernel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * How an entry reaches global memory: the instructions of its machine code, which has 16 bytes for
 * each from sm_75 on.
 *
 * @param loads all of them
 * @param wideLoads those of 16 bytes or more
 * @param stores all of them
 * @param wideStores those of 16 bytes or more
 */
record MachineCode(int loads, int wideLoads, int stores, int wideStores) {
  private static final int INSTRUCTION = 16;

  /** The low 12 bits of an instruction. */
  private static final int OPERATION = 0xFFF;

  // Of global memory, by an address or, from sm_80 on, by one and a descriptor.
  private static final Set<Integer> LOADS = Set.of(0x381, 0x981);
  private static final Set<Integer> STORES = Set.of(0x386, 0x986);

  /** Where the second 8 bytes say how much is moved, and what stands for 16 bytes. */
  private static final int SIZE_AT = 9;

  private static final int WIDE = 6;

  private static final String TEXT = ".text.";

  // An ELF file of 64 bits: where its header says where the sections' headers are.
  private static final int SECTIONS = 40;
  private static final int SECTION_BYTES = 58;
  private static final int SECTION_COUNT = 60;
  private static final int NAMES = 62;

  /** Of each entry of a cubin. */
  static Map<String, MachineCode> of(byte[] cubin) {
    ByteBuffer file = ByteBuffer.wrap(cubin).order(ByteOrder.LITTLE_ENDIAN);
    int first = (int) file.getLong(SECTIONS);
    int bytes = file.getShort(SECTION_BYTES);
    int names = (int) file.getLong(first + file.getShort(NAMES) * bytes + 24);
    Map<String, MachineCode> entries = new TreeMap<>();
    for (int i = 0; i < file.getShort(SECTION_COUNT); i++) {
      int header = first + i * bytes;
      String name = name(cubin, names + file.getInt(header));
      if (name.startsWith(TEXT)) {
        int from = (int) file.getLong(header + 24);
        int length = (int) file.getLong(header + 32);
        entries.put(name.substring(TEXT.length()), counted(file, from, length));
      }
    }
    return entries;
  }

  private static String name(byte[] file, int from) {
    int end = from;
    while (file[end] != 0) {
      end++;
    }
    return new String(file, from, end - from, StandardCharsets.US_ASCII);
  }

  private static MachineCode counted(ByteBuffer file, int from, int length) {
    int[] all = new int[2];
    int[] wide = new int[2];
    for (int at = from; at < from + length; at += INSTRUCTION) {
      int operation = file.getInt(at) & OPERATION;
      if (LOADS.contains(operation) || STORES.contains(operation)) {
        int kind = LOADS.contains(operation) ? 0 : 1;
        all[kind]++;
        wide[kind] += (file.getLong(at + 8) >> SIZE_AT & 7) >= WIDE ? 1 : 0;
      }
    }
    return new MachineCode(all[0], wide[0], all[1], wide[1]);
  }

  /** As two cells of a table: how many of how many are wide. */
  @Override
  public String toString() {
    return "%d of %d | %d of %d".formatted(wideLoads, loads, wideStores, stores);
  }
}
