"""The thumbnailer of Synapse, which is Pillow, as a peer: one line of JSON per job in, one out."""

from peer import serve
from synapse.media.thumbnailer import Thumbnailer


def make(job):
    images = []
    with Thumbnailer(job["file"]) as thumbnailer:
        thumbnailer.transpose()
        for wanted in job["outputs"]:
            kind = "image/" + wanted["type"]
            if wanted["method"] == "crop":
                made = thumbnailer.crop(wanted["width"], wanted["height"], kind)
            else:
                width, height = thumbnailer.aspect(wanted["width"], wanted["height"])
                width, height = min(thumbnailer.width, width), min(thumbnailer.height, height)
                made = thumbnailer.scale(width, height, kind)
            images.append(made.getvalue())
    return images


serve(make)
