"""Writes the files of this folder: a square that moves over a flat ground. Needs Pillow 13."""

from PIL import Image

WIDTH, HEIGHT = 24, 16


def scene(step):
    image = Image.new("RGB", (WIDTH, HEIGHT), (30, 60, 90))
    image.paste((250, 200 - 50 * step, 10), (3 * step, 2 * step, 3 * step + 4, 2 * step + 4))
    return image


def veiled(step):
    image = scene(step).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, HEIGHT - 1, WIDTH, HEIGHT))
    return image


def write_stills(still):
    for name, compression in [("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits")]:
        still.save(f"{name}.tiff", compression=compression)
    still.convert("L").save("gray.tiff")
    still.save("pages.tiff", save_all=True, append_images=[scene(2)], compression="tiff_lzw")
    veiled(1).save("alpha.tiff", compression="tiff_lzw")
    still.save("rgb.bmp")
    still.convert("P", palette=Image.Palette.ADAPTIVE, colors=4).save("palette.bmp")
    still.convert("1").save("bits.bmp")


def write_icons(icon):
    sizes = [(16, 16), (24, 24)]
    icon.save("bitmaps.ico", sizes=sizes, bitmap_format="bmp")
    icon.save("pngs.ico", sizes=sizes)


def write_animations(opaque, clear):
    def write(name, frames, **options):
        first, *rest = frames
        first.save(name, save_all=True, append_images=rest, **options)

    for disposal in (1, 2):
        write(f"disposal-{disposal}.gif", opaque, duration=[50, 100, 150], loop=0, disposal=disposal)
    write("veiled.gif", clear, duration=100, loop=2, disposal=2)
    write("veiled.png", clear, duration=100, loop=2)
    write("cleared.png", clear, duration=100, disposal=1, blend=1)
    write("separate.png", clear[:1] + clear, duration=100, default_image=True)


write_stills(scene(1))
write_icons(Image.new("RGBA", (24, 24), (9, 8, 7, 255)))
write_animations([scene(step) for step in range(3)], [veiled(step) for step in range(3)])
