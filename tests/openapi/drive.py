"""Drives one OpenAPI file of the specification against the running server, with schemathesis.

    drive.py FILE BASE_URL

The tables say all that we read into the file beyond its letter, and why. Nothing else is
excused: an answer that neither the file nor a table describes is a failure.

The environment says who asks (`TOKEN`, or `ORIGIN` with `KEY_FILE`), whom (`SERVER_NAME`),
and for which media (`IDS_TO_READ`, `IDS_TO_FILL`).
"""

import collections
import os
import re
import sys

import requests.auth
import schemathesis
import schemathesis.cli
import signedjson.key
import signedjson.sign

SERVER_NAME = os.environ["SERVER_NAME"]
# Nobody is there, and the server would not ask: the address is a private one.
ELSEWHERE = "10.0.0.1:1"
SERVER_NAMES = {"enum": [SERVER_NAME, ELSEWHERE]}
IDS_TO_READ = {"enum": os.environ["IDS_TO_READ"].split()}
IDS_TO_FILL = {"enum": os.environ.get("IDS_TO_FILL", "").split()}
PIXELS = {"type": "integer", "minimum": 1, "maximum": 2**31}

UPLOADS = "/media/v3/upload"
DOWNLOADS = "/media/(v3/)?download/"
THUMBNAILS = "/media/(v3/)?thumbnail/"
READING = f"{DOWNLOADS}|{THUMBNAILS}"
PREVIEWS = "/media/(v3/)?preview_url"

# What parameters may be: methods, name, schema, reason.
PARAMETERS = [
    ("get|put", "serverName", SERVER_NAMES, "Its grammar is in the appendices; of all names, two that we know."),
    ("get", "mediaId", IDS_TO_READ, "Its grammar is in the text about mxc URIs; of all ids, those that are there."),
    ("put", "mediaId", IDS_TO_FILL, "As above."),
    ("get", "timeout_ms", {"type": "integer", "minimum": 0}, "A time. What is beyond the server's limit means the limit."),
    ("get", "width", PIXELS, "400 is 'for negatively-sized images', says the answer's description."),
    ("get", "height", PIXELS, "As the width."),
    ("get", "allow_redirect", {}, "'When not explicitly set to `true` the server must return the media content itself.'"),
]

# Answers that the file does not list: paths or kinds of authentication, status, error codes, reason.
ANSWERS = [
    (READING, 400, ["M_INVALID_PARAM", "M_MISSING_PARAM"], "Standard error response: a parameter is not what it must be."),
    (READING, 404, ["M_NOT_FOUND"], "The files forgot what the text asks for: matrix-spec#1122."),
    (PREVIEWS, 404, ["M_UNRECOGNIZED"], "Standard error response: an endpoint that is not implemented."),
    ("accessTokenBearer", 401, ["M_MISSING_TOKEN", "M_UNKNOWN_TOKEN"], "Using access tokens: said once, for all that need one."),
    ("signedRequest", 401, ["M_UNAUTHORIZED"], "Request authentication: said once, for all that need a signature."),
]

# Failures of checks that are none: check, paths, status, words of the failure, reason.
EXCUSED = [
    ("ServerError", READING, 502, "", "The file lists it: the other server is out of reach."),
    ("ServerError", READING, 504, "", "The file lists it: M_NOT_YET_UPLOADED."),
    ("UndefinedContentType", DOWNLOADS, 200, "", "'application/octet-stream' stands for any bytes; the type is the upload's."),
    ("AcceptedNegativeData", UPLOADS, 200, "Missing request body", "In HTTP no body is an empty one, and that is an empty file."),
    ("MissingHeaderNotRejected", PREVIEWS, 404, "", "An endpoint that is not implemented does not look at tokens."),
    ("UnsupportedMethodResponse", PREVIEWS, 404, "", "Nor at methods."),
]

# Operations that cannot succeed: paths, reason.
WITHOUT_SUCCESS = [
    (PREVIEWS, "It is not implemented."),
]

# How often each operation was answered with each status.
answers = collections.Counter()


@schemathesis.hook
def before_load_schema(_context, raw_schema):
    """Writes the tables into the file's description."""
    shared = raw_schema.get("components", {}).get("parameters", {})
    for path, operations in raw_schema["paths"].items():
        for method, operation in operations.items():
            add_answers(path, operation)
            parameters = operation.get("parameters", [])
            operation["parameters"] = [restricted(method, resolved(parameter, shared)) for parameter in parameters]


def add_answers(path, operation):
    """What the file lists stays as it is there."""
    schemes = [scheme for alternative in operation.get("security", []) for scheme in alternative]
    for where, status, codes, reason in ANSWERS:
        if re.search(where, " ".join([path, *schemes])):
            content = {"application/json": {"schema": error(codes)}}
            operation["responses"].setdefault(str(status), {"description": reason, "content": content})


def error(codes):
    """The schema of a standard error response with one of these codes, and with words for people."""
    properties = {"errcode": {"enum": codes}, "error": {"type": "string"}}
    return {"type": "object", "required": ["errcode", "error"], "properties": properties}


def resolved(parameter, shared):
    """The parameter itself if it is shared by operations."""
    return shared[parameter["$ref"].rsplit("/", 1)[1]] if "$ref" in parameter else parameter


def restricted(method, parameter):
    """The parameter with what `PARAMETERS` says; its example may be none then."""
    for methods, name, schema, _ in PARAMETERS:
        if re.fullmatch(methods, method) and parameter["name"] == name:
            return {**{key: value for key, value in parameter.items() if key != "example"}, "schema": schema}
    return parameter


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """No name that was made up may send the server to the internet."""
    name = str(case.path_parameters.get("serverName", SERVER_NAME))
    if name != SERVER_NAME and re.fullmatch(r"[A-Za-z0-9.\-:\[\]]+", name):
        case.path_parameters["serverName"] = ELSEWHERE


@schemathesis.hook
def after_call(_context, case, response):
    """Counts answers to the operations themselves, not to other methods that were tried."""
    if case.method.upper() == case.operation.method.upper():
        answers[case.operation.label, response.status_code] += 1


@schemathesis.hook
def filter_failure(_context, failure, case, response):
    """Keeps the failures that no row of `EXCUSED` explains."""
    return not any(
        type(failure).__name__ == check
        and re.search(paths, case.path)
        and response.status_code == status
        and words in str(failure)
        for check, paths, status, words, _ in EXCUSED
    )


class Signature(requests.auth.AuthBase):
    """Signs requests as a server does."""

    def __init__(self, origin, key_file):
        self.names = {"origin": origin, "destination": SERVER_NAME}
        with open(key_file, encoding="ascii") as lines:
            [self.key] = signedjson.key.read_signing_keys(lines)

    def __call__(self, request):
        origin = self.names["origin"]
        content = {"method": request.method, "uri": request.path_url, **self.names}
        [(key, signature)] = signedjson.sign.sign_json(content, origin, self.key)["signatures"][origin].items()
        fields = {**self.names, "key": key, "sig": signature}
        request.headers["Authorization"] = "X-Matrix " + ",".join(f'{name}="{fields[name]}"' for name in fields)
        return request


def without_success():
    """Operations that were never answered with 200, and should have been."""
    successful = {operation for operation, status in answers if status == 200}
    failing = {operation for operation, _ in answers} - successful
    return {operation for operation in failing if not any(re.search(paths, operation) for paths, _ in WITHOUT_SUCCESS)}


def main(file, base_url):
    """Runs all checks of schemathesis, in all its phases, with the same data each time."""
    arguments = ["run", file, "--url", base_url, "--max-examples", "50", "--generation-deterministic", "--no-shrink"]
    arguments += ["--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off", "--no-color"]
    if "TOKEN" in os.environ:
        arguments += ["--header", f"Authorization: Bearer {os.environ['TOKEN']}"]
    if "ORIGIN" in os.environ:
        schemathesis.auth.set_from_requests(Signature(os.environ["ORIGIN"], os.environ["KEY_FILE"]))
    try:
        schemathesis.cli.schemathesis(arguments)
    except SystemExit as end:
        failed = end.code != 0
    for (operation, status), count in sorted(answers.items()):
        print(f"{operation}: {status}, {count} times")
    if failed or without_success() or not answers:
        raise SystemExit(f"failed; never answered with 200: {without_success()}")


main(*sys.argv[1:])
