"""Makes the ICC profiles here, and says what Little CMS makes of some colors in each.

python3 make.py; needs Pillow.

expected.txt has a line per color: the profile, the samples that are stored, and red, green and blue in sRGB,
relative to the white of each, without compensation of black.
"""

import itertools
import pathlib
import struct

from PIL import Image, ImageCms

HERE = pathlib.Path(__file__).parent
D50 = (0.9642, 1.0, 0.8249)


def fixed(*numbers):
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def xyz(*numbers):
    return b"XYZ \0\0\0\0" + fixed(*numbers)


def gamma(exponent):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


def srgb_curve():
    return b"para\0\0\0\0\0\3\0\0" + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(version, kind, space, connection, tags):
    tags = {"wtpt": xyz(*D50), "cprt": b"text\0\0\0\0CC0\0", "desc": b"desc\0\0\0\0\0\0\0\2x\0" + bytes(79), **tags}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">4xI", version << 24) + kind + space + connection
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50) + bytes(48)
    return struct.pack(">I", start + len(body)) + head + struct.pack(">I", len(tags)) + table + body


def light(version, curve, red, green, blue):
    tags = {"rXYZ": xyz(*red), "gXYZ": xyz(*green), "bXYZ": xyz(*blue)}
    return profile(version, b"mntr", b"RGB ", b"XYZ ", tags | {name: curve for name in ("rTRC", "gTRC", "bTRC")})


def lab(x, y, z):
    root = [t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x / D50[0], y, z / D50[2])]
    return 116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])


def press(points=7):
    """Ink that swallows most of the light, but not all."""
    table = []
    for c, m, y, k in itertools.product([index / (points - 1) for index in range(points)], repeat=4):
        red, green, blue = ((1 - 0.9 * ink) * (1 - 0.95 * k) for ink in (c, m, y))
        l, a, b = lab(
            0.4361 * red + 0.3851 * green + 0.1431 * blue,
            0.2225 * red + 0.7169 * green + 0.0606 * blue,
            0.0139 * red + 0.0971 * green + 0.7141 * blue,
        )
        table += [round(l * 652.8), round((a + 128) * 256), round((b + 128) * 256)]
    ramp = struct.pack(">2H", 0, 65535)
    lut = b"mft2\0\0\0\0" + bytes([4, 3, points, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">2H", 2, 2)
    lut += ramp * 4 + struct.pack(f">{len(table)}H", *table) + ramp * 3
    return profile(2, b"prtr", b"CMYK", b"Lab ", {"A2B0": lut})


PROFILES = {
    "display-p3": light(4, srgb_curve(), (0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)),
    "adobe-rgb": light(2, gamma(2.19921875), (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
    "srgb": light(4, srgb_curve(), (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)),
    "gray": profile(2, b"mntr", b"GRAY", b"XYZ ", {"kTRC": gamma(1.8)}),
    "press": press(),
}

MODES = {"gray": "L", "press": "CMYK"}
STEPS = {"RGB": (0, 30, 128, 200, 255), "L": range(0, 256, 15), "CMYK": (0, 64, 150, 255)}


def main():
    lines = []
    for name, content in PROFILES.items():
        path = HERE / f"{name}.icc"
        path.write_bytes(content)
        mode = MODES.get(name, "RGB")
        transform = ImageCms.buildTransform(str(path), ImageCms.createProfile("sRGB"), mode, "RGB", 1)
        for color in itertools.product(STEPS[mode], repeat=len(mode)):
            stored = Image.frombytes(mode, (1, 1), bytes(color))
            seen = ImageCms.applyTransform(stored, transform).tobytes()
            lines.append(" ".join([name, ",".join(map(str, color)), ",".join(map(str, seen))]))
    (HERE / "expected.txt").write_text("\n".join(lines) + "\n")


main()
