"""Makes the files here with the tools of libjpeg-turbo: pictures in all sampling forms, and
their samples as libjpeg-turbo decodes them.

python3 make.py; needs cjpeg, djpeg and jpegtran (Debian: libjpeg-turbo-progs) and Pillow.

NAME.jpg is the picture. NAME.planes has each component as it is stored, first at 1/8, then in full.
libjpeg-turbo only tells them for gray pictures: so each component becomes one, without being coded anew.
"""

import io
import pathlib
import random
import struct
import subprocess

from PIL import Image

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 61, 43

# Name, arguments of cjpeg.
FORMS = {
    "444": ["-sample", "1x1"],
    "422": ["-sample", "2x1"],
    "420": ["-sample", "2x2"],
    "440": ["-sample", "1x2"],
    "411": ["-sample", "4x1"],
    "410": ["-sample", "4x2"],
    "311": ["-sample", "3x1"],
    "mixed": ["-sample", "2x2,2x1,1x2"],
    "coarse": ["-quality", "1", "-sample", "2x2"],
    "fine": ["-quality", "100", "-sample", "1x1"],
    "optimized": ["-optimize", "-sample", "2x2"],
    "gray": ["-grayscale"],
    "restarts": ["-restart", "3B", "-sample", "2x2"],
    "restarts-444": ["-restart", "1", "-sample", "1x1"],
    "progressive": ["-progressive", "-sample", "2x2"],
    "progressive-444": ["-progressive", "-quality", "97", "-sample", "1x1"],
    "progressive-gray": ["-progressive", "-grayscale", "-restart", "5B"],
    "progressive-411": ["-progressive", "-sample", "4x1", "-restart", "1"],
}


def paint():
    """Soft shapes, one hard edge, and noise."""
    dice = random.Random(1)
    pixels = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            noise = dice.randrange(-20, 21)
            edge = 90 if x > y + 9 else 0
            pixels += bytes(max(0, min(255, value + noise)) for value in (x * 4, y * 5 - edge // 2, 200 - x - y + edge))
    return bytes(pixels)


def run(*command, data):
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def segments(jpeg):
    """Marker and content; a scan's content has its coded bytes."""
    at = 2
    while True:
        marker, length = jpeg[at + 1], struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        end = at + 2 + length
        if marker == 0xDA:
            while jpeg[end] != 0xFF or jpeg[end + 1] == 0 or 0xD0 <= jpeg[end + 1] <= 0xD7:
                end += 1
        yield marker, jpeg[at:end]
        if jpeg[end + 1] == 0xD9:
            return
        at = end


def separate(jpeg, count):
    """The same coefficients with a scan for each component."""
    scans = HERE / "scans.txt"
    scans.write_text("".join(f"{component};\n" for component in range(count)))
    try:
        return run("jpegtran", "-copy", "all", "-scans", str(scans), data=jpeg)
    finally:
        scans.unlink()


def as_gray(separated, index):
    """A gray picture of one component."""
    tables, frame, scan = b"", b"", b""
    for marker, segment in segments(separated):
        if marker in (0xC4, 0xDB, 0xDD):
            tables = tables + segment if not scan else tables
        elif marker in (0xC0, 0xC1):
            height, width, count = struct.unpack(">HHB", segment[5:10])
            entries = [segment[10 + 3 * i : 13 + 3 * i] for i in range(count)]
            entry = entries[index]
            across, down = (max(factor) for factor in zip(*((e[1] >> 4, e[1] & 15) for e in entries)))
            width = -(-width * (entry[1] >> 4) // across)
            height = -(-height * (entry[1] & 15) // down)
            frame = b"\xff" + bytes([marker]) + struct.pack(">HBHHB", 11, 8, height, width, 1)
            frame += bytes([entry[0], 0x11, entry[2]])
            wanted = entry[0]
        elif marker == 0xDA and segment[5] == wanted:
            scan = segment
    return b"\xff\xd8" + tables + frame + scan + b"\xff\xd9"


def decode(gray, scale):
    pgm = run("djpeg", "-dct", "int", "-scale", scale, "-pnm", data=gray)
    return pgm.split(b"\n", 3)[3]


def keep(name, jpeg):
    count = next(segment[9] for marker, segment in segments(jpeg) if marker in (0xC0, 0xC1, 0xC2))
    separated = separate(jpeg, count)
    grays = [as_gray(separated, index) for index in range(count)]
    (HERE / f"{name}.jpg").write_bytes(jpeg)
    planes = [decode(gray, scale) for scale in ("1/8", "1/1") for gray in grays]
    (HERE / f"{name}.planes").write_bytes(b"".join(planes))
    return separated


def main():
    pixels = paint()
    ppm = b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + pixels
    for name, arguments in FORMS.items():
        separated = keep(name, run("cjpeg", "-quality", "85", *arguments, data=ppm))
        if name in ("420", "411"):
            keep(f"separate-{name}", separated)

    ink = io.BytesIO()
    picture = Image.frombytes("RGB", (WIDTH, HEIGHT), pixels).convert("CMYK")
    picture.save(ink, "JPEG", quality=85)
    cmyk = ink.getvalue()
    keep("cmyk", cmyk)
    transform = cmyk.index(b"Adobe") + 11
    keep("ycck", cmyk[:transform] + b"\x02" + cmyk[transform + 1 :])


main()
