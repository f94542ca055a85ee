"""Makes the golden files that no encoder in the test can make: photo.jxl.

python3 make.py; needs Pillow and pillow-jxl-plugin. The picture is that of `photo` in ../support/photographs.rs.
"""

import math
import pathlib

import pillow_jxl  # registers itself
from PIL import Image

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 240, 180


def sample(x, y, phase):
    shape = math.sin(x / 21 + phase) * math.cos(y / 15) + math.sin(x * y / 1500) / 3
    edge = 40 if math.hypot(x - 120, y - 90) % 45 < 15 else 0
    return max(0, min(255, int(shape * 70 + edge + 100)))


pixels = bytes(sample(x, y, phase) for y in range(HEIGHT) for x in range(WIDTH) for phase in (0, 1.1, 2.3))
Image.frombytes("RGB", (WIDTH, HEIGHT), pixels).save(HERE / "photo.jxl", quality=95)
