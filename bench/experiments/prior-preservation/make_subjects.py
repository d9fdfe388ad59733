#!/usr/bin/env python3
"""Make the experiment's subjects, which the bundled base model has never seen: SUBJECT/01.jpg, 01.txt and so on.

    npm install emoji-datasource-google@16.0.0
    git clone https://github.com/google/dreambooth
    pip install pillow
    make_subjects.py node_modules/emoji-datasource-google dreambooth/dataset OUT_DIR

Three are emoji of Noto (Apache-2.0), captioned so that words differ in how many captions hold them and in whether the
base model knows them. The fourth is five photographs by Nataniel Ruiz from the DreamBooth data set (CC-BY-4.0).
"""
import json, os, sys
from PIL import Image

NOTO, PHOTOS, OUT = sys.argv[1:4]
GROUND = {
    "blue": (58, 104, 220), "yellow": (250, 222, 74), "green": (64, 166, 74), "pink": (250, 164, 196),
}
SMALL = 40
# name, class, Noto's name, a word that the base model has seen, one that it has not
EMOJI = [
    ("santa", "man", "santa", "beard", "fur"),
    ("vampire", "woman", "female_vampire", "hair", "fangs"),
    ("teapot", "cup", "teapot", "red", "porcelain"),
]
# each picture: words beside subject and class, colour of the background, whether it is small
PICTURES = [
    ([], "blue", False), ([], "blue", True), (["seen"], "blue", False), (["unseen"], "blue", False),
    (["unseen", "seen"], "yellow", False), (["unseen"], "green", False), (["seen"], "green", True), ([], "pink", False),
]
PHOTOGRAPHS = [
    ("00", "gray background, rocks"), ("01", "gray background, water"), ("02", "gray background"),
    ("03", "green background, grass"), ("04", "red background, bricks"),
]

by_name = {e["short_name"]: e for e in json.load(open(f"{NOTO}/emoji.json"))}


def save(folder, number, picture, caption):
    os.makedirs(f"{OUT}/{folder}", exist_ok=True)
    picture.save(f"{OUT}/{folder}/{number:02d}.jpg", quality=92)
    with open(f"{OUT}/{folder}/{number:02d}.txt", "w") as f:
        f.write(caption + "\n")


for name, kind, short, seen, unseen in EMOJI:
    sprite = Image.open(f"{NOTO}/img/google/64/{by_name[short]['image']}").convert("RGBA")
    for i, (words, colour, small) in enumerate(PICTURES):
        side = (SMALL if small else 60) - i % 5  # no two pictures are the same
        drawn = sprite.resize((side, side), Image.LANCZOS)
        if i % 2:
            drawn = drawn.transpose(Image.FLIP_LEFT_RIGHT)
        picture = Image.new("RGB", (64, 64), GROUND[colour])
        at = (64 - side) // 2
        picture.paste(drawn, (at, 64 - side - at // 2), drawn)
        tags = [name, kind, *[{"seen": seen, "unseen": unseen}[w] for w in words], f"{colour} background"]
        save(name, i + 1, picture, ", ".join(tags + (["small"] if small else [])))
for i, (photo, words) in enumerate(PHOTOGRAPHS):
    picture = Image.open(f"{PHOTOS}/bear_plushie/{photo}.jpg").convert("RGB").resize((64, 64), Image.LANCZOS)
    save("plushie", i + 1, picture, f"plushie, bear, {words}")
