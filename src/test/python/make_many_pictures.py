"""Makes a large folder of tiny captioned pictures, to measure how fast a run is planned.

    python3 src/test/python/make_many_pictures.py FOLDER [FOLDERS] [PICTURES_EACH]
    time ./dreambooth inspect --instance_data_dir FOLDER --instance_token sks --class_token man

2,000 folders of 50 pictures by default, no two alike, in eleven shapes, with a few hundred captions.
Needs nothing but Python.
"""

import struct
import sys
import zlib
from pathlib import Path

SHAPES = [(64, 64), (90, 60), (60, 90), (80, 64), (64, 80), (96, 54), (54, 96), (100, 50), (50, 100), (84, 63), (63, 84)]
WORDS = ["hat", "beach", "snow", "smiling", "red coat", "side view", "night", "street", "garden", "portrait"]


def png(width: int, height: int, number: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    first = number.to_bytes(4, "big")
    row = b"\0" + bytes(width * 3)
    pixels = b"\0" + first + bytes(width * 3 - 4) + row * (height - 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def main() -> None:
    root = Path(sys.argv[1])
    folders = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    each = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    number = 0
    for f in range(folders):
        folder = root / f"folder{f:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        for p in range(each):
            width, height = SHAPES[number % len(SHAPES)]
            (folder / f"{p:05d}.png").write_bytes(png(width, height, number))
            words = [WORDS[number // 10**i % 10] for i in range(3)]
            (folder / f"{p:05d}.txt").write_text(f"sks, man, {', '.join(words)}")
            number += 1


if __name__ == "__main__":
    main()
