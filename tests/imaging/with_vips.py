"""libvips itself as a peer: one line of JSON per job in, one out."""

import os

os.environ["VIPS_CONCURRENCY"] = "1"

import pyvips
from peer import serve

pyvips.cache_set_max(0)


def encode(image, kind):
    options = {"png": {}, "webp": {"Q": 80, "keep": "none"}, "jpeg": {"Q": 80, "keep": "none"}}[kind]
    return image.write_to_buffer({"png": ".png", "webp": ".webp", "jpeg": ".jpg"}[kind], **options)


def make(job):
    images = []
    for wanted in job["outputs"]:
        crop = {"crop": "centre"} if wanted["method"] == "crop" else {}
        source = job["file"] + ("[n=-1]" if wanted["animated"] else "")
        small = pyvips.Image.thumbnail(source, wanted["width"], height=wanted["height"], size="down", **crop)
        images.append(encode(small, wanted["type"]))
    return images


serve(make)
