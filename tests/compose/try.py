#!/usr/bin/env python3
"""Starts the cluster of docker-compose.yml, and goes through what it promises.

    try.py [--keep]        needs Docker with compose 2; everything is removed at the end

The three commands that `welcome` prints do what they say; the images hold no shell, nobody in them is root, and pictures
are worked on in a jail that is whole; more instances take part once they are there; when one thumbnailer is
killed, the others go on. Without Grafana and Jaeger, whose images come from a registry.
"""
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = ["docker", "compose", "--env-file", "/dev/null"]
ROLES = ["api", "upload-orchestrator", "thumbnailer", "federation-fetcher"]
PROMETHEUS = f"http://localhost:{os.environ.get('PROMETHEUS_PORT', '9090')}"
# A guard against waiting for ever, far beyond what anything here takes.
PATIENCE = 180


def run(*command, check=True):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done


def compose(*arguments, check=True):
    return run(*COMPOSE, *arguments, check=check)


def expect(what, is_so):
    if not is_so:
        raise SystemExit(f"FAIL {what}")
    print(f"ok   {what}", flush=True)


def picture(width, height):
    """A PNG whose pixels are all different."""
    rows = b"".join(b"\0" + bytes((x * 7 + y * 3 + c * 50) % 256 for x in range(width) for c in range(3)) for y in range(height))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def welcome():
    """The commands that the service prints."""
    compose("wait", "welcome", check=False)
    text = compose("logs", "--no-log-prefix", "welcome").stdout
    commands = re.findall(r"^ *(curl (?:.*\\\n)*.*)$", text, re.MULTILINE)
    expect("three commands are printed", len(commands) == 3)
    return commands


def shell(command, folder):
    done = subprocess.run(["sh", "-c", f"{command} --fail-with-body --silent --show-error"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"FAIL {command}: {done.stdout}{done.stderr}")
    return done.stdout


def try_commands(commands, folder):
    original = picture(512, 384)
    (folder / "picture.png").write_bytes(original)
    media_id = json.loads(shell(commands[0], folder))["content_uri"].removeprefix("mxc://localhost/")
    for command in commands[1:]:
        shell(command.replace("localhost/ID", f"localhost/{media_id}"), folder)
    expect("what was stored is read", (folder / "copy.png").read_bytes() == original)
    # The picture has no transparency: its thumbnail is JPEG or PNG, as the server likes.
    small = (folder / "small.png").read_bytes()
    expect("a thumbnail is made", size(small) == (96, 96))
    return media_id


def size(content):
    """Width and height of a PNG or a JPEG."""
    if content[:4] == b"\x89PNG":
        return struct.unpack(">II", content[16:24])
    position = 2
    while content[position + 1] not in (0xC0, 0xC1, 0xC2):
        position += 2 + struct.unpack(">H", content[position + 2 : position + 4])[0]
    height, width = struct.unpack(">HH", content[position + 5 : position + 9])
    return width, height


def containers(service):
    return compose("ps", "--quiet", service).stdout.split()


def try_images():
    for service in ROLES:
        [container] = containers(service)
        [found] = json.loads(run("docker", "inspect", container).stdout)
        host, config = found["HostConfig"], found["Config"]
        closed = host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and "no-new-privileges:true" in host["SecurityOpt"]
        expect(f"{service}: nothing is written to, no capability", closed)
        expect(f"{service}: nobody is root", config["User"] == "65532:65532")
        expect(f"{service}: no shell", run("docker", "exec", container, "/bin/sh", "-c", "true", check=False).returncode != 0)
        megabytes = json.loads(run("docker", "image", "inspect", found["Image"]).stdout)[0]["Size"] / 1e6
        print(f"     {service}: {megabytes:.1f} MB")
    [thumbnailer] = containers("thumbnailer")
    report = json.loads(run("docker", "exec", thumbnailer, "heliograph", "doctor", "--json", check=False).stdout)
    jail = [trial for trial in find_all(report) if trial.get("tried") == "thumbnails.jail"]
    expect(f"the jail is whole: {jail}", [it["verdict"] for it in jail] == ["ok"])


def find_all(value):
    """Every object within."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from find_all(inner)


def measure(query):
    with urllib.request.urlopen(f"{PROMETHEUS}/api/v1/query?query={urllib.parse.quote(query)}") as answer:
        return [float(it["value"][1]) for it in json.load(answer)["data"]["result"]]


def wait_for(what, is_so):
    for _ in range(PATIENCE):
        if is_so():
            return expect(what, True)
        time.sleep(1)
    expect(what, False)


def thumbnails(command, media_id, folder, sides):
    """Asks for one in each of these sizes; how many came."""
    came = 0
    for side in sides:
        asked = command.replace("localhost/ID", f"localhost/{media_id}").replace("width=96&height=96", f"width={side}&height={side + 1}")
        done = subprocess.run(["sh", "-c", f"{asked} --fail --silent"], cwd=folder, capture_output=True)
        came += done.returncode == 0
    return came


def try_scale(commands, media_id, folder):
    compose("up", "--detach", "--no-recreate", "--scale", "api=2", "--scale", "thumbnailer=3")
    wait_for("Prometheus sees two fronts", lambda: measure('count(up{job="heliograph-api"} == 1)') == [2.0])
    wait_for("and three thumbnailers beside the other two", lambda: measure('count(up{job="heliograph"} == 1)') == [5.0])
    expect("all thumbnails are made", thumbnails(commands[2], media_id, folder, range(100, 140)) == 40)
    both = 'count(sum by (instance) (heliograph_http_requests_total{route=~".*thumbnail.*"}) > 0)'
    wait_for("both fronts have answered", lambda: measure(both) == [2.0])
    killed, *_ = containers("thumbnailer")
    run("docker", "kill", "--signal", "KILL", killed)
    print(f"     while a thumbnailer was killed, {thumbnails(commands[2], media_id, folder, range(140, 180))} of 40 came")
    expect("without it all thumbnails are made", thumbnails(commands[2], media_id, folder, range(180, 220)) == 40)


def main():
    try:
        compose("up", "--detach")
        commands = welcome()
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            media_id = try_commands(commands, folder)
            try_images()
            try_scale(commands, media_id, folder)
    finally:
        if "--keep" not in sys.argv:
            compose("down", "--volumes", "--timeout", "5")


main()
