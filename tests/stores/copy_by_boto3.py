"""Copies a file of noise to a bucket and back, as boto3 does it by default; prints the seconds of both.

copy_by_boto3.py ENDPOINT BUCKET BYTES
"""

import os
import sys
import tempfile
import time

import boto3
from botocore.config import Config

ENDPOINT, BUCKET, SIZE = sys.argv[1], sys.argv[2], int(sys.argv[3])
PIECE = os.urandom(1 << 20)


def seconds(work):
    """How long it takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main():
    """From memory, and to nowhere: as the other side of the comparison."""
    client = boto3.client("s3", endpoint_url=ENDPOINT, config=Config(s3={"addressing_style": "path"}))
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        for _ in range(SIZE // len(PIECE)):
            file.write(PIECE)
        file.flush()
        up = seconds(lambda: client.upload_file(file.name, BUCKET, "by-boto3"))
        down = seconds(lambda: client.download_file(BUCKET, "by-boto3", file.name))
        assert os.path.getsize(file.name) == SIZE
    client.delete_object(Bucket=BUCKET, Key="by-boto3")
    print(up, down)


main()
