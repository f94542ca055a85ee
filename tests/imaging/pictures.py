"""The pictures that thumbnailers are compared on: generated photographs, and real ones."""

import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

SENSOR_NOISE = 4.0
MEGAPIXELS = {"2 MP": (1632, 1224), "12 MP": (4032, 3024), "48 MP": (8064, 6048)}
EXIF_ORIENTATION = 0x0112


def photograph(width, height, seed=1):
    """A real photograph made large, with texture and the noise of a sensor, as phones deliver it."""
    noise = np.random.default_rng(seed)
    base = Image.fromarray(data.astronaut() if seed % 2 else data.coffee()).convert("RGB")
    large = np.asarray(base.resize((width, height), Image.Resampling.LANCZOS), dtype=np.float32)
    for octave in (2, 4, 8):
        coarse = noise.normal(0, 6, (height // octave + 1, width // octave + 1)).astype(np.float32)
        texture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        large += np.asarray(texture)[..., None]
    large += noise.normal(0, SENSOR_NOISE, large.shape).astype(np.float32)
    return Image.fromarray(np.clip(large, 0, 255).astype(np.uint8))


def screenshot():
    picture = Image.new("RGB", (1920, 1080), (250, 250, 252))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=18)
    for row in range(44):
        draw.text((320, 16 + row * 24), "The heliograph answers with a flash from the far hill. " * 3, (30, 30, 40), font)
    draw.rectangle((0, 0, 300, 1080), (36, 41, 56))
    for row in range(20):
        draw.ellipse((20, 20 + row * 52, 56, 56 + row * 52), (90 + row * 8, 160 - row * 5, 220))
    return picture


def transparent(picture):
    width, height = picture.size
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse((width // 10, height // 10, width * 9 // 10, height * 9 // 10), 255)
    picture = picture.copy()
    picture.putalpha(mask)
    return picture


def animation(frames=60, size=(480, 270)):
    base = photograph(960, 540, 2)
    for index in range(frames):
        left = index * 4
        yield base.crop((left, index * 2, left + size[0], index * 2 + size[1]))


def generate(folder):
    """Writes all that is missing."""
    def jpeg(name, picture, **options):
        path = folder / f"{name}.jpg"
        if not path.exists():
            picture().save(path, quality=90, **{"subsampling": "4:2:0", **options})

    for name, size in MEGAPIXELS.items():
        jpeg(f"baseline {name}", lambda size=size: photograph(*size))
    turned = Image.Exif()
    turned[EXIF_ORIENTATION] = 6
    jpeg("turned 12 MP", lambda: photograph(*MEGAPIXELS["12 MP"]), exif=turned)
    jpeg("second 12 MP", lambda: photograph(*MEGAPIXELS["12 MP"], 2))
    jpeg("4:4:4 12 MP", lambda: photograph(*MEGAPIXELS["12 MP"]), subsampling="4:4:4")
    for name in ("2 MP", "12 MP"):
        jpeg(f"progressive {name}", lambda name=name: photograph(*MEGAPIXELS[name]), progressive=True)

    def other(name, save):
        if not (folder / name).exists():
            save(folder / name)

    two = lambda: photograph(*MEGAPIXELS["2 MP"])  # noqa: E731
    other("photograph.png", lambda path: two().save(path))
    other("screenshot.png", lambda path: screenshot().save(path))
    other("transparent.png", lambda path: transparent(two()).save(path))
    other("2 MP.webp", lambda path: two().save(path, quality=85))
    other("12 MP.webp", lambda path: photograph(*MEGAPIXELS["12 MP"]).save(path, quality=85))
    other("2 MP.avif", lambda path: two().save(path, quality=70))
    first, *rest = animation()
    other("moving.gif", lambda path: first.save(path, save_all=True, append_images=rest, duration=40, loop=0))


def real(folder, wheels):
    """The photographs that packages of PyPI bring."""
    package = Path(data.__file__).parent
    for name in ("retina.jpg", "hubble_deep_field.jpg", "rocket.jpg"):
        (folder / name).write_bytes((package / name).read_bytes())
    for wheel in wheels.glob("scikit_learn*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in ("china.jpg", "flower.jpg"):
                (folder / name).write_bytes(archive.read(f"sklearn/datasets/images/{name}"))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    generate(folder)
    real(folder, Path(sys.argv[2]))
