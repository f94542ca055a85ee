"""What the Python clients are told by the environment, and how they check what they get."""

import os
import ssl
from pathlib import Path

BASE_URL = os.environ["BASE_URL"]
USER_ID = os.environ["USER_ID"]
PASSWORD = os.environ["PASSWORD"]
PICTURE = Path(os.environ["PICTURE"]).read_bytes()
TLS = ssl.create_default_context(cafile=os.environ["CA_FILE"])


def same(what, got, expected):
    """Ends the client unless it got what it should."""
    if got != expected:
        raise SystemExit(f"{what}: got {got!r:.200}, expected {expected!r:.200}")


def jpeg_size(file):
    """Width and height of a JPEG, from its frame header."""
    same("the start of a JPEG", file[:2], b"\xff\xd8")
    at = 2
    while file[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(file[at + 2 : at + 4])
    return int.from_bytes(file[at + 7 : at + 9]), int.from_bytes(file[at + 5 : at + 7])
