#!/usr/bin/env python3
"""Checks the Helm chart in k8s/ without a cluster.

    check.py [--update]        with HELIOGRAPH_BIN, the settings in it are checked as well

For the default values and for each file in k8s/examples:
  1. lint and render (Helm 4);
  2. the rendering is what k8s/golden holds (`--update` writes it anew);
  3. every object fits the strict schemas of each Kubernetes version below;
  4. names are unique, and every selector finds pods of the same rendering;
  5. heliograph.toml is accepted by `heliograph config check` for each role.
Then: the ingress leads every path of ENDPOINTS.md here, values that must be refused are, and
promtool accepts the alerts. Ends with 1 if anything fails.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import helm_python
import kubernetes_validate
import yaml
from helm_python.chart import lint

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "k8s/heliograph"
GOLDEN = ROOT / "k8s/golden"
ENDPOINTS = ROOT / "services/heliograph/ENDPOINTS.md"
KUBERNETES = ["1.31", "1.34", "1.37"]
# Kinds of others, which Kubernetes has no schema for.
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}
ROLES = ["api", "uploads", "thumbnails", "federation"]

failures = 0


class Dumper(yaml.SafeDumper):
    """Text of several lines as people write it."""


def write_text(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, write_text)


def fail(what):
    global failures
    failures += 1
    print("FAIL", what)


def render(values):
    manifests = helm_python.Chart.load(str(CHART)).render(values, name="media", namespace="matrix")
    texts = [text for path, text in manifests.items() if path.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def complaints(values):
    """What lint finds, the schema of the values included; a missing icon aside."""
    messages = lint(str(CHART), values, strict=True)["messages"]
    return [it["error"] for it in messages if it["severity"] > 1]


def in_order(objects):
    objects = sorted(objects, key=lambda it: (it["kind"], it["metadata"]["name"]))
    return yaml.dump_all(objects, Dumper=Dumper, sort_keys=True, width=120)


def compare(name, objects):
    text, file = in_order(objects), GOLDEN / f"{name}.yaml"
    if "--update" in sys.argv:
        file.write_text(text)
    elif not file.exists() or file.read_text() != text:
        fail(f"{name}: is not what {file.relative_to(ROOT)} holds; look at the change, then run with --update")


def validate(name, objects):
    for each in objects:
        if each["kind"] in CUSTOM:
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                fail(f"{name}: {each['kind']} {each['metadata']['name']} in {version}: {error}")


def connect(name, objects):
    """Names are unique; selectors and targets lead somewhere."""
    names = [(it["kind"], it["metadata"]["name"]) for it in objects]
    for twice in {it for it in names if names.count(it) > 1}:
        fail(f"{name}: {twice} is there twice")
    pods = [it["spec"]["template"]["metadata"]["labels"] for it in objects if it["kind"] == "Deployment"]
    for each in objects:
        spec = each.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        wanted = selector.get("matchLabels", selector if each["kind"] == "Service" else {})
        if wanted and not any(wanted.items() <= labels.items() for labels in pods):
            fail(f"{name}: {each['kind']} {each['metadata']['name']} selects nothing")
        target = spec.get("scaleTargetRef")
        if target and ("Deployment", target["name"]) not in names:
            fail(f"{name}: {each['kind']} {each['metadata']['name']} scales nothing")


def check_settings(name, objects):
    """The rendered settings file is one that every role accepts."""
    binary = os.environ.get("HELIOGRAPH_BIN")
    if not binary or name == "default":
        return
    settings = next(it for it in objects if it["kind"] == "ConfigMap" and it["metadata"]["name"].endswith("-settings"))
    with tempfile.TemporaryDirectory() as folder:
        # What a Secret would hold: any key in Synapse's format.
        key = pathlib.Path(folder, "signing.key")
        key.write_text("ed25519 a_test YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0\n")
        text = settings["data"]["heliograph.toml"].replace("/etc/heliograph/secrets/signing-key/signing.key", str(key))
        file = pathlib.Path(folder, "heliograph.toml")
        file.write_text(text)
        deployments = [it for it in objects if it["kind"] == "Deployment"]
        for role in ROLES:
            [pod] = [it["spec"]["template"]["spec"] for it in deployments if it["metadata"]["name"].endswith(f"-{role}")]
            secrets = [it["name"] for it in pod["containers"][0]["env"] if "valueFrom" in it]
            values = {it: "redis://redis:6379" if it.endswith("REDIS_URL") else "secret" for it in secrets}
            command = [binary, "--config", str(file), "config", "check", "--role", role]
            done = subprocess.run(command, env={"PATH": os.environ["PATH"], **values}, capture_output=True, text=True)
            if done.returncode:
                fail(f"{name}: settings of {role}: {done.stdout}{done.stderr}")


def check_paths():
    """The ingress, with everything switched on, leads every endpoint to us."""
    values = {"ingress": {"enabled": True, "hosts": ["a.example"]}, "wellKnown": True, "moderation": True}
    [ingress] = [it for it in render(values) if it["kind"] == "Ingress"]
    prefixes = [it["path"] for it in ingress["spec"]["rules"][0]["http"]["paths"]]
    # These stay with the homeserver, or cannot be told by how they begin.
    elsewhere = ["/_matrix/key/", "/_matrix/federation/v1/version", "/_synapse/admin/v1/users/", "/livez", "/readyz", "/metrics"]
    found = re.findall(r"`(/[^`]+)`", ENDPOINTS.read_text())
    paths = {path for pattern in found for path in expand(pattern.replace("\\|", "|"))}
    if len(paths) < 40:
        fail(f"only {len(paths)} paths were found in {ENDPOINTS.name}")
    for path in sorted(paths):
        known = any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)
        if not known and not any(path.startswith(it) for it in elsewhere):
            fail(f"no rule of the ingress leads {path} here")


def expand(pattern):
    """`/a/(b|c)[/d]` is /a/b, /a/c, /a/b/d and /a/c/d."""
    group = re.search(r"\(([^()]*)\)|\[([^\[\]]*)\]", pattern)
    if not group:
        return [pattern]
    choices = group[1].split("|") if group[1] is not None else ["", group[2]]
    return [path for it in choices for path in expand(pattern[: group.start()] + it + pattern[group.end() :])]


def check_refusals():
    for reason, values in {
        "a secret among the settings": {"settings": {"storage": {"secret_access_key": "x"}}},
        "a Redis URL among the settings": {"settings": {"state": {"redis_url": "redis://:password@a"}}},
        "an address that the chart sets": {"settings": {"api": {"listen": "127.0.0.1:1"}}},
        "a value that is misspelt": {"roles": {"api": {"replica": 1}}},
        "a homeserver without a name": {"settings": {"homeserver": [{}]}},
        "an ingress without a host": {"ingress": {"enabled": True}},
        "a route without a gateway": {"gateway": {"enabled": True}},
    }.items():
        if not complaints(values):
            fail(f"{reason} was accepted")


def main():
    files = [None, *sorted((ROOT / "k8s/examples").glob("*.yaml"))]
    for file in files:
        name = file.stem if file else "default"
        values = yaml.safe_load(file.read_text()) if file else {}
        for complaint in complaints(values):
            fail(f"{name}: lint: {complaint}")
        objects = render(values)
        compare(name, objects)
        validate(name, objects)
        connect(name, objects)
        check_settings(name, objects)
        print(f"{name}: {len(objects)} objects against Kubernetes {', '.join(KUBERNETES)}")
    check_paths()
    check_refusals()
    if subprocess.run(["promtool", "check", "rules", str(CHART / "alerts.yaml")], stdout=subprocess.DEVNULL).returncode:
        fail("promtool refuses the alerts")
    sys.exit(1 if failures else 0)


main()
