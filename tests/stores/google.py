"""Stands in for Google Cloud Storage: its XML API, as far as `object_store` speaks it, in memory.

    google.py PORT BUCKET KEY_FILE

Writes the key of a service account to KEY_FILE. Takes requests with a bearer token, and URLs that
were signed with that key (V4): the signature, the signed headers and the expiry are checked. Shows
that our requests are well formed, not that Google agrees.
"""

import calendar
import hashlib
import itertools
import json
import re
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ALGORITHM = "GOOG4-RSA-SHA256"
LEAST_PART = 5 << 20
PAGE = 1000


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class Bucket:
    """Objects, and uploads in parts. The caller holds the lock."""

    def __init__(self, name):
        self.name, self.objects, self.uploads = name, {}, {}
        self.lock, self.numbers = threading.RLock(), itertools.count(1)

    def put(self, key, body, content_type):
        """Stores an object, in place of what is there."""
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        stored = {"body": body, "type": content_type, "generation": next(self.numbers), "at": time.time(), "etag": etag}
        self.objects[key] = stored
        return stored

    def get(self, key):
        """The object under a key."""
        if key not in self.objects:
            raise Refused(404, "NoSuchKey")
        return self.objects[key]

    def upload(self, number):
        """An upload that was begun and not completed."""
        if number not in self.uploads:
            raise Refused(404, "NoSuchUpload")
        return self.uploads[number]

    def complete(self, number, parts):
        """Makes an object of the parts, in this order."""
        upload = self.upload(number)
        if any(part not in upload["parts"] for part in parts):
            raise Refused(400, "InvalidPart")
        if any(len(upload["parts"][part]) < LEAST_PART for part in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        del self.uploads[number]
        return self.put(upload["key"], b"".join(upload["parts"][part] for part in parts), upload["type"])


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    bucket = key = None

    def log_message(self, *_):
        """The tests look at answers."""

    def handle_one(self):
        """Every request: who is it, and then what."""
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        target = urlsplit(self.path)
        self.raw_path, self.pairs = target.path, parse_qsl(target.query, keep_blank_values=True)
        self.query = dict(self.pairs)
        name, _, self.object_name = unquote(target.path)[1:].partition("/")
        try:
            self.check_signer()
            if name != self.bucket.name:
                raise Refused(404, "NoSuchBucket")
            with self.bucket.lock:
                getattr(self, f"on_{self.command.lower()}")()
        except Refused as refused:
            self.xml("Error", f"<Code>{refused.code}</Code>", status=refused.status)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def answer(self, status, body=b"", **headers):
        """The whole answer; names of headers with `_` for `-`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def xml(self, root, content, status=200, **headers):
        """A document."""
        body = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{content}</{root}>'.encode()
        self.answer(status, body, content_type="application/xml", **headers)

    def check_signer(self):
        """A token, or a URL that was signed with our key and has not expired."""
        if (self.headers.get("authorization") or "").startswith("Bearer "):
            return
        query = self.query
        if query.get("X-Goog-Algorithm") != ALGORITHM:
            raise Refused(403, "AccessDenied")
        try:
            signed_at = calendar.timegm(time.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ"))
            ends_at = signed_at + int(query["X-Goog-Expires"])
            scope = query["X-Goog-Credential"].split("/", 1)[1]
            signature = bytes.fromhex(query["X-Goog-Signature"])
            names = query["X-Goog-SignedHeaders"].split(";")
        except (KeyError, ValueError, IndexError) as error:
            raise Refused(400, "AuthenticationRequired") from error
        if time.time() > ends_at:
            raise Refused(400, "ExpiredToken")
        digest = hashlib.sha256(self.canonical_request(names).encode()).hexdigest()
        text = f"{ALGORITHM}\n{query['X-Goog-Date']}\n{scope}\n{digest}"
        try:
            KEY.public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            raise Refused(403, "SignatureDoesNotMatch") from error

    def canonical_request(self, names):
        """What was signed, if nothing was changed."""
        pairs = (f"{encode(name)}={encode(value)}" for name, value in self.pairs if name != "X-Goog-Signature")
        headers = "".join(f"{name}:{' '.join((self.headers.get(name) or '').split())}\n" for name in names)
        names = ";".join(names)
        return f"{self.command}\n{self.raw_path}\n{'&'.join(sorted(pairs))}\n{headers}\n{names}\nUNSIGNED-PAYLOAD"

    def check_generation(self):
        """A write may be meant for what was there."""
        expected = self.headers.get("x-goog-if-generation-match")
        there = self.bucket.objects.get(self.object_name, {"generation": 0})
        if expected is not None and int(expected) != there["generation"]:
            raise Refused(412, "PreconditionFailed")

    def on_get(self):
        """An object or a part of it, or a list."""
        if not self.object_name:
            return self.list()
        stored = self.bucket.get(self.object_name)
        body, status, size = stored["body"], 200, len(stored["body"])
        headers = {"etag": stored["etag"], "x_goog_generation": str(stored["generation"])}
        headers["last_modified"] = formatdate(stored["at"], usegmt=True)
        headers["content_type"] = self.query.get("response-content-type", stored["type"])
        if "response-content-disposition" in self.query:
            headers["content_disposition"] = self.query["response-content-disposition"]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range") or "")
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
            if first >= size:
                return self.answer(416, content_range=f"bytes */{size}")
            body, status, headers["content_range"] = body[first : last + 1], 206, f"bytes {first}-{last}/{size}"
        return self.answer(status, body, **headers)

    on_head = on_get

    def list(self):
        """The keys with a prefix, page by page."""
        if "delimiter" in self.query:
            raise Refused(501, "NotImplemented")
        prefix, after = self.query.get("prefix", ""), self.query.get("continuation-token", "")
        after = max(after, self.query.get("start-after", ""))
        keys = sorted(key for key in self.bucket.objects if key.startswith(prefix) and key > after)
        page, content = keys[: int(self.query.get("max-keys") or PAGE)], ""
        for key in page:
            stored = self.bucket.objects[key]
            at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(stored["at"]))
            content += f"<Contents><Key>{escape(key)}</Key><LastModified>{at}</LastModified>"
            content += f"<ETag>{escape(stored['etag'])}</ETag><Size>{len(stored['body'])}</Size></Contents>"
        if len(page) < len(keys):
            content += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>"
        more = str(len(page) < len(keys)).lower()
        return self.xml("ListBucketResult", f"<Name>{self.bucket.name}</Name><IsTruncated>{more}</IsTruncated>{content}")

    def on_put(self):
        """A part, a copy, or an object."""
        content_type = self.headers.get("content-type") or "application/octet-stream"
        if "uploadId" in self.query:
            self.bucket.upload(self.query["uploadId"])["parts"][int(self.query["partNumber"])] = self.body
            return self.answer(200, etag=f'"{hashlib.md5(self.body).hexdigest()}"')
        self.check_generation()
        source = self.headers.get("x-goog-copy-source")
        if source is None:
            stored = self.bucket.put(self.object_name, self.body, content_type)
            return self.answer(200, etag=stored["etag"], x_goog_generation=str(stored["generation"]))
        source = self.bucket.get(unquote(source).lstrip("/").partition("/")[2])
        stored = self.bucket.put(self.object_name, source["body"], source["type"])
        generation = str(stored["generation"])
        return self.xml("CopyObjectResult", f"<ETag>{escape(stored['etag'])}</ETag>", x_goog_generation=generation)

    def on_post(self):
        """Begins or completes an upload in parts."""
        key = f"<Bucket>{self.bucket.name}</Bucket><Key>{escape(self.object_name)}</Key>"
        if "uploads" in self.query:
            number, content_type = f"upload{next(self.bucket.numbers)}", self.headers.get("content-type") or ""
            self.bucket.uploads[number] = {"key": self.object_name, "type": content_type, "parts": {}}
            return self.xml("InitiateMultipartUploadResult", f"{key}<UploadId>{number}</UploadId>")
        self.check_generation()
        parts = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", self.body)]
        stored = self.bucket.complete(self.query.get("uploadId"), parts)
        content = f"{key}<ETag>{escape(stored['etag'])}</ETag>"
        generation = str(stored["generation"])
        return self.xml("CompleteMultipartUploadResult", content, x_goog_generation=generation)

    def on_delete(self):
        """Removes an object, or gives an upload up."""
        if "uploadId" in self.query:
            self.bucket.uploads.pop(self.query["uploadId"], None)
        elif self.bucket.objects.pop(self.object_name, None) is None:
            raise Refused(404, "NoSuchKey")
        return self.answer(204)


def encode(text):
    """As in a query that is signed."""
    return quote(text, safe="-_.~")


def write_key(file, port):
    """The key of a service account, as Google gives them out."""
    encoded = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "tests",
        "private_key_id": "1",
        "private_key": encoded.decode(),
        "client_email": "tests@tests.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"http://127.0.0.1:{port}/token",
    }
    with open(file, "w", encoding="utf-8") as opened:
        json.dump(account, opened)


KEY = rsa.generate_private_key(65537, 2048)

if __name__ == "__main__":
    port, Handler.bucket = int(sys.argv[1]), Bucket(sys.argv[2])
    write_key(sys.argv[3], port)
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
