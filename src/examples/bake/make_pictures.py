#!/usr/bin/env python3
"""Paste sprites (a folder with sprites.json) onto plain backgrounds: OUT_DIR/*.png of 64 x 64 pixels, each with a caption.

    make_pictures.py SPRITES OUT_DIR [SEED]

A caption file has two lines, a list of tags and a sentence, of which training shows one each time
(multiline_captions: drawn). People are three quarters of the sprites, so all else gets more pictures each.
"""
import json, os, random, sys
from PIL import Image

SPRITES, OUT = sys.argv[1:3]
R = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
SIDE = 64
BACKGROUNDS = {
    "white": (255, 255, 255), "black": (16, 16, 16), "gray": (150, 150, 150), "red": (214, 52, 52),
    "orange": (246, 148, 40), "yellow": (250, 222, 74), "green": (64, 166, 74), "teal": (40, 160, 160),
    "blue": (58, 104, 220), "purple": (134, 70, 184), "pink": (250, 164, 196), "brown": (122, 84, 52),
}
PEOPLE = {"man", "woman", "boy", "girl", "baby"}


def size_and_place():
    """Pixels, the words that say so, and the top left corner."""
    draw = R.random()
    if draw < 0.68:  # fills the picture
        side = R.randint(56, 62)
        return side, "", "", [(SIDE - side) // 2 + R.randint(-1, 1) for _ in "xy"]
    if draw < 0.84:
        side = R.randint(32, 38)
        return side, "small", "", [(SIDE - side) // 2 + R.randint(-3, 3) for _ in "xy"]
    side = R.randint(32, 38)
    far, middle = SIDE - side - R.randint(0, 2), (SIDE - side) // 2 + R.randint(-3, 3)
    word, at = R.choice([("left", (SIDE - side - far, middle)), ("right", (far, middle)),
                         ("top", (middle, SIDE - side - far)), ("bottom", (middle, far))])
    return side, "small", word, at


def article(word):
    return "an" if word[0] in "aeiou" else "a"


def sentence(noun, attributes, colour, size, place):
    before = [a for a in attributes if a in ("old", "black", "white", "red", "green", "blue", "yellow", "purple", "happy", "angry", "crying", "sleeping", "winking", "bald")]
    with_ = [a for a in attributes if a.endswith(("hair", "skin")) or a in ("beard", "turban", "sunglasses", "candles", "garden")]
    rest = [a for a in attributes if a not in before + with_]
    words = [w for w in [size, *before, *rest, noun] if w]
    text = f"{article(words[0])} {' '.join(words)}"
    if with_:
        text += " with " + " and ".join(with_)
    text += f" on {article(colour)} {colour} background"
    return text + (f" at the {place}" if place else "")


os.makedirs(OUT, exist_ok=True)
rows = json.load(open(f"{SPRITES}/sprites.json"))["sprites"]
count = 0
for row in rows:
    sprite = Image.open(f"{SPRITES}/{row['file']}").convert("RGBA")
    colours = list(BACKGROUNDS)
    R.shuffle(colours)
    for i in range(6 if row["noun"] in PEOPLE else 24):
        colour = colours[i % len(colours)]
        side, size, place, at = size_and_place()
        ground = tuple(max(0, min(255, c + R.randint(-6, 6))) for c in BACKGROUNDS[colour])
        picture = Image.new("RGB", (SIDE, SIDE), ground)
        small = sprite.resize((side, side), Image.LANCZOS)
        picture.paste(small, tuple(int(v) for v in at), small)
        name = f"{OUT}/{row['file'][:-4]}-{i:02d}"
        picture.save(name + ".png", optimize=True)
        tags = [row["noun"], *row["attributes"], f"{colour} background", *[w for w in (size, place) if w]]
        if R.random() < 0.25:
            tags.append(row["style"])
        with open(name + ".txt", "w") as f:
            f.write(", ".join(tags) + "\n" + sentence(row["noun"], row["attributes"], colour, size, place) + "\n")
        count += 1
print(count, "pictures")
