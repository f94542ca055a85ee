"""Makes the pictures beside this file: python make.py.

Needs Pillow with WebP, and avifenc (libavif 0.11) and cjxl (libjxl 0.7) on the path.
"""

import pathlib
import subprocess
import tempfile

from PIL import Image

HERE = pathlib.Path(__file__).parent
RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 40), (30, 30, 220), (250, 250, 250)


def quarters(width=64, height=48, colors=(RED, GREEN, BLUE, WHITE)):
    picture = Image.new("RGB", (width, height))
    for index, color in enumerate(colors):
        left, top = index % 2 * (width // 2), index // 2 * (height // 2)
        picture.paste(color, (left, top, width if index % 2 else width // 2, height if index > 1 else height // 2))
    return picture


def veiled(picture):
    """Half transparent on the left, invisible at the lower right."""
    width, height = picture.size
    alpha = Image.new("L", picture.size, 255)
    alpha.paste(128, (0, 0, width // 2, height))
    alpha.paste(0, (width // 2, height // 2, width, height))
    picture = picture.copy()
    picture.putalpha(alpha)
    return picture


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def display_p3():
    """A profile that names the primaries of Display P3 and the gamma of sRGB, of 400 bytes or so."""
    # The matrix of Display P3, adapted to D50, as ICC wants it.
    columns = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]
    fixed = lambda value: round(value * 65536).to_bytes(4, "big", signed=True)
    xyz = lambda values: b"XYZ \0\0\0\0" + b"".join(map(fixed, values))
    curve = b"para\0\0\0\0\0\3\0\0" + b"".join(map(fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    text = b"mluc" + bytes(4) + (1).to_bytes(4, "big") + (12).to_bytes(4, "big") + b"enUS"
    text += (4).to_bytes(4, "big") + (28).to_bytes(4, "big") + "P3".encode("utf-16-be")
    tags = {b"desc": text, b"cprt": text, b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    tags |= {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns)}
    tags |= {name: curve for name in (b"rTRC", b"gTRC", b"bTRC")}
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + (at + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
    rest = len(tags).to_bytes(4, "big") + table + body
    header = (128 + len(rest)).to_bytes(4, "big") + b"\0\0\0\0" + b"\4\x40\0\0" + b"mntrRGB XYZ "
    header += bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return header + bytes(128 - len(header)) + rest


def moving():
    """Three pictures: all red, the upper right green, the lower left blue."""
    first = Image.new("RGB", (64, 48), RED)
    second, third = first.copy(), first.copy()
    second.paste(GREEN, (32, 0, 64, 24))
    third.paste(BLUE, (0, 24, 32, 48))
    return [first, second, third]


def webp(name, picture, **options):
    picture.save(HERE / f"{name}.webp", **options)


def make_webp():
    webp("lossy", quarters(), quality=90)
    webp("lossy-odd", quarters(37, 29), quality=90)
    webp("lossy-alpha", veiled(quarters()), quality=90)
    webp("lossless", quarters(), lossless=True)
    webp("lossless-alpha", veiled(quarters()), lossless=True)
    for orientation in range(1, 9):
        webp(f"turned-{orientation}", quarters(), quality=90, exif=exif(orientation))
    webp("p3", quarters(), lossless=True, icc_profile=display_p3())
    first, *others = moving()
    webp("moving", first, save_all=True, append_images=others, duration=[100, 250, 40], loop=3, quality=90)


def run(*arguments):
    subprocess.run(arguments, check=True, capture_output=True)


def avif(name, picture, *options):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "source.png"
        picture.save(source)
        run("avifenc", "--jobs", "1", "--speed", "6", "--min", "0", "--max", "20", *options, source, HERE / f"{name}.avif")


def make_avif():
    for sampling in ("400", "420", "422", "444"):
        for depth in ("8", "10", "12"):
            for range_ in ("full", "limited"):
                options = ("--yuv", sampling, "--depth", depth, "--range", range_)
                avif(f"{sampling}-{depth}-{range_}", quarters(), *options)
    avif("odd", quarters(37, 29), "--yuv", "420")
    for name, code in (("bt709", 1), ("fcc", 4), ("smpte240", 7), ("bt2020", 9)):
        for range_ in ("full", "limited"):
            avif(f"{name}-{range_}", quarters(), "--yuv", "420", "--range", range_, "--cicp", f"1/13/{code}")
    avif("identity", quarters(), "--yuv", "444", "--cicp", "1/13/0")
    avif("identity-limited", quarters(), "--yuv", "444", "--cicp", "1/13/0", "--range", "limited")
    avif("ycgco", quarters(), "--yuv", "444", "--cicp", "1/13/8")
    for sampling in ("400", "420", "444"):
        avif(f"alpha-{sampling}", veiled(quarters()), "--yuv", sampling, "--minalpha", "0", "--maxalpha", "0")
    avif("alpha-10", veiled(quarters()), "--yuv", "420", "--depth", "10", "--minalpha", "0", "--maxalpha", "0")
    avif("premultiplied", veiled(quarters()), "--yuv", "444", "--premultiply", "--minalpha", "0", "--maxalpha", "0")
    for quarter in (1, 2, 3):
        avif(f"irot-{quarter}", quarters(), "--irot", str(quarter))
    for axis in (0, 1):
        avif(f"imir-{axis}", quarters(), "--imir", str(axis))
        avif(f"irot-1-imir-{axis}", quarters(), "--irot", "1", "--imir", str(axis))
    # 48 by 40 from (8, 8): the middle is moved to the lower right.
    avif("clap", quarters(), "--clap", "48,1,40,1,0,1,4,1")
    (HERE / "p3.icc").write_bytes(display_p3())
    avif("p3", quarters(), "--icc", str(HERE / "p3.icc"))
    avif("p3-nclx", quarters(), "--cicp", "12/13/6")
    (HERE / "p3.icc").unlink()
    avif("grid", quarters(160, 128), "--grid", "2x2")
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{index}.png" for index in range(3)]
        for path, picture in zip(paths, moving()):
            picture.save(path)
        run("avifenc", "--jobs", "1", "--speed", "8", *paths, HERE / "moving.avif")


def jxl(name, picture, *options, suffix="png", **saved):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / f"source.{suffix}"
        picture.save(source, **saved)
        run("cjxl", source, HERE / f"{name}.jxl", "--num_threads=0", *options)


def make_jxl():
    jxl("lossy", quarters(), "-d", "0.5")
    jxl("lossy-container", quarters(), "-d", "0.5", "--container=1")
    jxl("lossless", quarters(), "-d", "0")
    jxl("progressive", quarters(), "-d", "0.5", "-p")
    jxl("gray", quarters().convert("L"), "-d", "0.5")
    jxl("alpha", veiled(quarters()), "-d", "0")
    jxl("alpha-lossy", veiled(quarters()), "-d", "0.5")
    jxl("gray-alpha", veiled(quarters()).convert("LA"), "-d", "0")
    row = (10240).to_bytes(2, "little") * 32 + (51200).to_bytes(2, "little") * 32
    deep = Image.frombytes("I;16", (64, 48), row * 48)
    jxl("gray-16", deep, "-d", "0")
    jxl("p3", quarters(), "-d", "0", icc_profile=display_p3())
    for orientation in range(1, 9):
        jxl(f"turned-{orientation}", quarters(), suffix="jpg", exif=exif(orientation), quality=90)
    pictures = moving()
    for shade, picture in enumerate(pictures):
        # cjxl loses what Pillow leaves away since it has not changed: let the corners change.
        picture.putpixel((0, 0), (shade, 0, 0))
        picture.putpixel((63, 47), (shade, 0, 0))
    first, *others = pictures
    jxl("moving", first, "-d", "0", suffix="apng", format="PNG", save_all=True, append_images=others,
        duration=[100, 250, 40], loop=3)


if __name__ == "__main__":
    make_webp()
    make_avif()
    make_jxl()
