"""Prints what thumbnails cost and how good they are, beside sharp, libvips and Synapse's own code.

Each program is one process that does job after job. They take turns (A B C, A B C, ...), so that what else
the machine does meets all alike; of the rounds the median counts. CPU is user and system time of all threads
of the process. The peak is that of the resident memory of the whole process during the job. SSIM is of luma, over 7 x 7
pixels, against a Lanczos resize of the full decode.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence
from skimage.metrics import structural_similarity

Image.MAX_IMAGE_PIXELS = None
PRESETS = [(32, 32, "crop"), (96, 96, "crop"), (320, 240, "scale"), (640, 480, "scale"), (800, 600, "scale")]
MOST_SSIM_LOST = 0.001
# A crop this small differs by how its edges are rounded.
LEAST_COMPARED = 96


@dataclass
class Job:
    """Thumbnails of one file, and how many times less than a peer they are to cost."""

    file: str
    outputs: list
    type: str = "jpeg"
    goals: dict = field(default_factory=dict)
    animated: bool = False

    def name(self):
        width, height, method = self.outputs[-1]
        what = "all five" if len(self.outputs) > 1 else f"{width}x{height} {method}"
        return f"{self.file} -> {what}{' ' + self.type if self.type != 'jpeg' else ''}"


def jobs():
    for size in ("12 MP", "48 MP"):
        for preset in PRESETS:
            yield Job(f"baseline {size}.jpg", [preset], goals={"sharp": 3.0 if preset[0] <= 320 else 2.5})
    for preset in PRESETS:
        yield Job("baseline 2 MP.jpg", [preset], goals={"sharp": 2.5})
    for name in ("turned", "second", "4:4:4"):
        for preset in (PRESETS[2], PRESETS[4]):
            yield Job(f"{name} 12 MP.jpg", [preset], goals={"sharp": 3.0 if preset[0] <= 320 else 2.5})
    yield Job("progressive 12 MP.jpg", [PRESETS[2]], goals={"sharp": 20.0})
    yield Job("progressive 12 MP.jpg", [PRESETS[4]], goals={"sharp": 7.0})
    yield Job("progressive 2 MP.jpg", [PRESETS[4]])
    yield Job("baseline 12 MP.jpg", PRESETS, goals={"sharp": 8.0, "synapse": 15.0})
    for preset in (PRESETS[2], PRESETS[4]):
        yield Job("photograph.png", [preset], goals={"sharp": 1.8})
        yield Job("screenshot.png", [preset], goals={"sharp": 1.8})
        yield Job("transparent.png", [preset], "png", goals={"sharp": 1.8})
        yield Job("2 MP.webp", [preset], goals={"sharp": 1.25})
        yield Job("12 MP.webp", [preset], goals={"sharp": 1.25})
        yield Job("2 MP.avif", [preset], goals={"sharp": 1.4})
    yield Job("moving.gif", [PRESETS[2]], "webp", goals={"sharp": 1.4}, animated=True)
    for name in ("retina.jpg", "hubble_deep_field.jpg", "rocket.jpg", "china.jpg", "flower.jpg"):
        for preset in (PRESETS[1], PRESETS[2]):
            yield Job(name, [preset])


class Peer:
    """A program that makes thumbnails."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def make(self, job, pictures, results):
        outputs = [
            {"width": width, "height": height, "method": method, "animated": job.animated, "type": job.type,
             "path": str(results / f"{self.name}-{index}")}
            for index, (width, height, method) in enumerate(job.outputs)
        ]
        self.process.stdin.write(json.dumps({"file": str(pictures / job.file), "outputs": outputs}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


def luma(picture):
    if picture.mode in ("RGBA", "LA", "PA", "P"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture.convert("RGB").convert("L"), dtype=np.float64)


def reference(full, size, method):
    """The full picture, cut as `method` wants and resized to `size`."""
    width, height = full.size
    box = (0, 0, width, height)
    if method == "crop":
        scale = min(width / size[0], height / size[1])
        kept = (size[0] * scale, size[1] * scale)
        left, top = (width - kept[0]) / 2, (height - kept[1]) / 2
        box = (left, top, left + kept[0], top + kept[1])
    if full.mode == "RGBA":
        # What is transparent has no color: resized as it looks on white.
        full = Image.alpha_composite(Image.new("RGBA", full.size, (255, 255, 255, 255)), full).convert("RGB")
    return full.resize(size, Image.Resampling.LANCZOS, box=box)


def frames(path, animated):
    with Image.open(path) as picture:
        if not animated:
            return [ImageOps.exif_transpose(picture).copy()]
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(picture)]


class Judge:
    """Says how much a thumbnail looks like its source."""

    def __init__(self, job, pictures):
        self.job = job
        self.full = [
            frame.convert("RGBA" if job.type == "png" else "RGB")
            for frame in frames(pictures / job.file, job.animated)[: 5 if job.animated else 1]
        ]

    def ssim(self, results, name):
        values = []
        for index, (width, height, method) in enumerate(self.job.outputs):
            if min(width, height) < LEAST_COMPARED:
                continue
            for full, frame in zip(self.full, frames(results / f"{name}-{index}", self.job.animated)):
                expected = luma(reference(full, frame.size, method))
                values.append(structural_similarity(expected, luma(frame), win_size=7, data_range=255))
        return statistics.mean(values) if values else None


def run(job, peers, pictures, results, rounds):
    """The median of what each peer needs."""
    answers = {peer.name: [] for peer in peers}
    for round_ in range(rounds + 1):
        for peer in peers:
            answer = peer.make(job, pictures, results)
            if round_ > 0 or "error" in answer:
                answers[peer.name].append(answer)
    judge = Judge(job, pictures)
    figures = {}
    for name, rounds_ in answers.items():
        error = next((answer["error"] for answer in rounds_ if "error" in answer), None)
        if error:
            figures[name] = {"error": error}
            continue
        size = sum((results / f"{name}-{index}").stat().st_size for index in range(len(job.outputs)))
        figures[name] = {
            "cpu_ms": statistics.median(answer["cpu_ms"] for answer in rounds_),
            "peak_mb": max(answer["peak_kb"] for answer in rounds_) / 1024,
            "ssim": judge.ssim(results, name),
            "kb": size / 1000,
        }
    return figures


def line(job, figures):
    ours = figures["heliograph"]
    if "error" in ours:
        return f"| {job.name()} | {ours['error']} |", False
    cells = [job.name()]
    for name, figure in figures.items():
        if "error" in figure:
            cells.append("cannot")
            continue
        ratio = "" if name == "heliograph" else f" ({figure['cpu_ms'] / ours['cpu_ms']:.2f}x)"
        ssim = "" if figure["ssim"] is None else f", {figure['ssim']:.4f}"
        cells.append(f"{figure['cpu_ms']:.1f} ms{ratio}, {figure['peak_mb']:.0f} MB, {figure['kb']:.0f} kB{ssim}")
    verdicts = []
    for name, goal in job.goals.items():
        figure = figures[name]
        if "error" in figure:
            continue
        ratio = figure["cpu_ms"] / ours["cpu_ms"]
        verdicts.append(f"{name} {goal:g}x: {'met' if ratio >= goal else f'missed ({ratio:.2f}x)'}")
        if None not in (ours["ssim"], figure["ssim"]) and name == "sharp" and ours["ssim"] < figure["ssim"] - MOST_SSIM_LOST:
            verdicts.append(f"SSIM missed by {figure['ssim'] - ours['ssim']:.4f}")
    cells.append("; ".join(verdicts))
    return "| " + " | ".join(cells) + " |", all("missed" not in verdict for verdict in verdicts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="jobs whose name has this in it")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND", help="a program, and its arguments, separated by |")
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)

    peers = [Peer(name, command.split("|")) for name, command in (peer.split("=", 1) for peer in arguments.peer)]
    print("CPU per job (times ours), peak memory of the process, bytes, SSIM\n")
    print("| job | " + " | ".join(peer.name for peer in peers) + " | goal |")
    print("|---" * (len(peers) + 2) + "|")
    met = total = 0
    for job in jobs():
        if arguments.only not in job.name():
            continue
        text, is_met = line(job, run(job, peers, arguments.pictures, arguments.results, arguments.rounds))
        print(text, flush=True)
        if job.goals:
            total, met = total + 1, met + is_met
    print(f"\n{met} of {total} goals met")
    for peer in peers:
        peer.end()
    sys.exit(0)


main()
