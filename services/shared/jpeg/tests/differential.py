"""Holds our reader against libjpeg-turbo, for as long as one likes: random pictures in all sampling forms,
baseline and progressive, with and without restart intervals and optimised tables.

    cargo build --release -p heliograph-jpeg --example planes
    python3 services/shared/jpeg/tests/differential.py SECONDS [SEED]

Needs libturbojpeg (Debian: libturbojpeg0) and nothing else. At 1/8 all planes must be equal, in full no
sample may differ by more than one. What differs is written to differs-SEED-NUMBER.jpg, and the exit code is 1.
"""

import ctypes
import ctypes.util
import os
import pathlib
import random
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[4]
# Number in TurboJPEG, blocks of brightness in an MCU.
FORMS = {"444": (0, 1, 1), "422": (1, 2, 1), "420": (2, 2, 2), "gray": (3, 1, 1), "440": (4, 1, 2), "411": (5, 4, 1)}
GRAY = 3
PROGRESSIVE, ACCURATE = 16384, 4096

turbo = ctypes.CDLL(ctypes.util.find_library("turbojpeg") or "libturbojpeg.so.0")
turbo.tjInitCompress.restype = turbo.tjInitDecompress.restype = ctypes.c_void_p
turbo.tjGetErrorStr2.restype = ctypes.c_char_p
turbo.tjPlaneWidth.restype = turbo.tjPlaneHeight.restype = ctypes.c_int
turbo.tjFree.argtypes = [ctypes.c_void_p]
libc = ctypes.CDLL(None)
libc.setenv.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
libc.unsetenv.argtypes = [ctypes.c_char_p]


def check(code, handle):
    if code != 0:
        raise RuntimeError(turbo.tjGetErrorStr2(ctypes.c_void_p(handle)).decode())


def plane(dice, kind, width, height):
    """One color, soft, noise, or stripes of black and white."""
    if kind == 0:
        return bytes([dice.randrange(256)]) * (width * height)
    if kind == 1:
        across, down, noise = dice.random() * 9, dice.random() * 9, dice.randrange(1, 60)
        grain = dice.randbytes(width * height)
        return bytes(
            int(x * across + y * down + grain[y * width + x] % noise) & 255 for y in range(height) for x in range(width)
        )
    if kind == 2:
        return dice.randbytes(width * height)
    period = dice.randrange(1, 9)
    return bytes(255 * ((x // period + y // period) & 1) for y in range(height) for x in range(width))


def size(component, width, height, form):
    return (
        turbo.tjPlaneWidth(component, width, form),
        turbo.tjPlaneHeight(component, height, form),
    )


def encode(dice):
    # A new one each time: else tables of one picture stay for the next, whose symbols they lack.
    handle = turbo.tjInitCompress()
    name = dice.choice(list(FORMS))
    form, across, down = FORMS[name]
    # Whole MCUs and all that is beside them.
    # Not less than five across: TurboJPEG takes the largest scale that gives the size, so not 1/8 of fewer.
    width, height = dice.randrange(5, 200), dice.randrange(1, 120)
    if dice.random() < 0.3:
        width, height = -(-width // (8 * across)) * 8 * across, -(-height // (8 * down)) * 8 * down
    kind, count = dice.randrange(4), 1 if form == GRAY else 3
    planes = [plane(dice, kind, *size(component, width, height, form)) for component in range(count)]
    pointers = (ctypes.c_char_p * 3)(*planes)
    strides = (ctypes.c_int * 3)(*(size(component, width, height, form)[0] for component in range(count)))
    for variable, value in (
        (b"TJ_OPTIMIZE", dice.choice([b"0", b"1"])),
        (b"TJ_RESTART", dice.choice([None, None, b"1", b"2", b"7B", b"1B"])),
    ):
        libc.unsetenv(variable) if value is None else libc.setenv(variable, value, 1)
    flags = ACCURATE | (PROGRESSIVE if dice.random() < 0.5 else 0)
    jpeg, length = ctypes.c_void_p(), ctypes.c_ulong()
    quality = dice.choice([1, 10, 50, 80, 92, 100])
    check(
        turbo.tjCompressFromYUVPlanes(
            ctypes.c_void_p(handle), pointers, width, strides, height, form, ctypes.byref(jpeg), ctypes.byref(length), quality, flags
        ),
        handle,
    )
    try:
        return name, ctypes.string_at(jpeg, length.value), (width, height), count
    finally:
        turbo.tjFree(jpeg)
        turbo.tjDestroy(ctypes.c_void_p(handle))


def decode(handle, jpeg, picture, name, count, eighths):
    form = FORMS[name][0]
    width, height = (-(-side * eighths // 8) for side in picture)
    sizes = [size(component, width, height, form) for component in range(count)]
    buffers = [ctypes.create_string_buffer(wide * high) for wide, high in sizes]
    pointers = (ctypes.c_void_p * 3)(*(ctypes.addressof(buffer) for buffer in buffers))
    strides = (ctypes.c_int * 3)(*(wide for wide, _ in sizes))
    check(
        turbo.tjDecompressToYUVPlanes(ctypes.c_void_p(handle), jpeg, ctypes.c_ulong(len(jpeg)), pointers, width, strides, height, ACCURATE),
        handle,
    )
    return [(wide, high, buffer.raw) for (wide, high), buffer in zip(sizes, buffers)]


class Ours:
    def __init__(self):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.process = subprocess.Popen(
            [target / "release/examples/planes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def read(self, length):
        data = self.process.stdout.read(length)
        if len(data) != length:
            raise RuntimeError("our reader died")
        return data

    def decode(self, jpeg):
        self.process.stdin.write(struct.pack("<I", len(jpeg)) + jpeg)
        self.process.stdin.flush()
        count = struct.unpack("<I", self.read(4))[0]
        planes = []
        for _ in range(2 * count):
            width, height = struct.unpack("<II", self.read(8))
            planes.append((width, height, self.read(width * height)))
        return planes[:count], planes[count:]


def common(ours, theirs):
    """The parts of two planes that both have: sizes are rounded in different ways beyond the picture."""
    width, height = min(ours[0], theirs[0]), min(ours[1], theirs[1])
    rows = lambda p: [p[2][y * p[0] : y * p[0] + width] for y in range(height)]
    return rows(ours), rows(theirs)


def is_same_size(ours, theirs, slack):
    return all(0 <= wide - mine <= slack for mine, wide in zip(ours[:2], theirs[:2]))


def complaint(name, ours, eighth, full):
    """How two readings of a picture differ."""
    if not len(ours[0]) == len(ours[1]) == len(full):
        return f"{len(ours[0])} planes instead of {len(full)}"
    # Theirs are filled up to whole MCUs' worth of color.
    slack = max(FORMS[name][1:]) - 1
    for component, (mine, theirs) in enumerate(zip(ours[0], eighth)):
        # Color that is stored at a quarter of the width is decoded at a larger scale.
        if name == "411" and component > 0:
            continue
        if not is_same_size(mine, theirs, slack):
            return f"component {component} at 1/8: {mine[:2]} instead of {theirs[:2]}"
        mine, theirs = common(mine, theirs)
        if mine != theirs:
            return f"component {component} at 1/8"
    for component, (mine, theirs) in enumerate(zip(ours[1], full)):
        if not is_same_size(mine, theirs, slack):
            return f"component {component}: {mine[:2]} instead of {theirs[:2]}"
        mine, theirs = common(mine, theirs)
        if max(abs(a - b) for pair in zip(mine, theirs) for a, b in zip(*pair)) > 1:
            return f"component {component} in full"
    return None


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    dice, ours = random.Random(seed), Ours()
    decompressor = turbo.tjInitDecompress()
    started, number, differing, forms = time.monotonic(), 0, 0, {}
    while time.monotonic() - started < seconds:
        name, jpeg, picture, count = encode(dice)
        eighth, full = (decode(decompressor, jpeg, picture, name, count, eighths) for eighths in (1, 8))
        found = complaint(name, ours.decode(jpeg), eighth, full)
        if found:
            differing += 1
            pathlib.Path(f"differs-{seed}-{number}.jpg").write_bytes(jpeg)
            print(f"differs-{seed}-{number}.jpg ({name}, {picture}): {found}")
        forms[name] = forms.get(name, 0) + 1
        number += 1
    print(f"seed {seed}: {number} pictures, {differing} differ; {forms}")
    sys.exit(1 if differing else 0)


main()
