#!/usr/bin/env python3
"""Checks the Helm chart in k8s/ without a cluster.

    check.py [--update]        with HELIOGRAPH_BIN, the settings in it are checked as well; TEST_NODE and
                               TEST_NODE_MODULES say where Node and its packages are

For the default values and for each file in k8s/examples:
  1. lint and render (Helm 4);
  2. the rendering is what k8s/golden holds (`--update` writes it anew);
  3. every object fits the strict schemas of each Kubernetes version below;
  4. objects of the Gateway API, KEDA and the Prometheus operator fit the types of those (tests/chart/custom.mjs);
  5. names are unique, and every selector finds pods of the same rendering;
  6. pods are as restricted as can be, have the program of their role, and more time than it takes to end;
  7. networks are as closed as values.yaml says, and there is no Secret;
  8. heliograph.toml is accepted by `heliograph config check` for each role.
Then: ingress and gateway lead every path of ENDPOINTS.md here and no path is led that is none, values that must be
refused are, promtool accepts the alerts, which fire when they should, and what alerts and dashboards ask for is measured. Ends with 1 if
anything fails.
"""
import json
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
KUBERNETES = ["1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]
# Kinds of others, which Kubernetes has no schema for.
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication", "HTTPRoute"}
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
    with tempfile.TemporaryDirectory() as folder:
        # What a Secret would hold: any key in Synapse's format.
        key = pathlib.Path(folder, "signing.key")
        key.write_text("ed25519 a_test YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0\n")
        text = settings_of(objects).replace("/etc/heliograph/secrets/signing-key/signing.key", str(key))
        file = pathlib.Path(folder, "heliograph.toml")
        file.write_text(text)
        for role, pod in pods_of(objects).items():
            secrets = [it["name"] for it in pod["containers"][0]["env"] if "valueFrom" in it]
            values = {it: "redis://redis:6379" if it.endswith("REDIS_URL") else "secret" for it in secrets}
            command = [binary, "--config", str(file), "config", "check", "--role", role]
            done = subprocess.run(command, env={"PATH": os.environ["PATH"], **values}, capture_output=True, text=True)
            if done.returncode:
                fail(f"{name}: settings of {role}: {done.stdout}{done.stderr}")


def check_custom(rendered):
    """Objects of others fit the types that their operators publish."""
    node, modules = os.environ.get("TEST_NODE"), os.environ.get("TEST_NODE_MODULES")
    if not node:
        fail("TEST_NODE is not set: objects of others are not checked")
        return
    objects = [{"name": name, "object": it} for name, objects in rendered.items() for it in objects if it["kind"] in CUSTOM]
    missing = CUSTOM - {it["object"]["kind"] for it in objects}
    if missing:
        fail(f"no values render {sorted(missing)}")
    script = pathlib.Path(__file__).with_name("custom.mjs")
    done = subprocess.run([node, script, modules], input=json.dumps(objects), capture_output=True, text=True)
    if done.returncode:
        fail(f"objects of others: {done.stdout}{done.stderr}")


def pods_of(objects):
    """The pod of each role."""
    deployments = [it for it in objects if it["kind"] == "Deployment"]
    return {it["metadata"]["labels"]["app.kubernetes.io/component"]: it["spec"]["template"]["spec"] for it in deployments}


def check_pods(name, objects):
    pods = pods_of(objects)
    if set(pods) != set(ROLES):
        fail(f"{name}: the deployments are {sorted(pods)}")
    for role, pod in pods.items():
        [container] = pod["containers"]
        may, inside = pod["securityContext"], container["securityContext"]
        restricted = {
            "is not root": may["runAsNonRoot"] and may["runAsUser"] > 0,
            "has seccomp": may["seccompProfile"]["type"] == "RuntimeDefault",
            "gains no privileges": inside["allowPrivilegeEscalation"] is False,
            "writes to no image": inside["readOnlyRootFilesystem"],
            "has no capabilities": inside["capabilities"]["drop"] == ["ALL"],
            "has no token of Kubernetes": pod["automountServiceAccountToken"] is False,
            "has bounded memory": "memory" in container["resources"]["limits"],
            "asks for resources": {"cpu", "memory"} <= set(container["resources"]["requests"]),
            "is probed": all(f"{it}Probe" in container for it in ["startup", "liveness", "readiness"]),
            "is spread": len(pod["topologySpreadConstraints"]) > 0,
            "has an account of its own": pod["serviceAccountName"].endswith(f"-{role}"),
        }
        for what in [what for what, is_so in restricted.items() if not is_so]:
            fail(f"{name}: not true of the pod of {role}: {what}")
        if container["args"] != [role] or f"-{role}" not in re.split("[:@]", container["image"])[0]:
            fail(f"{name}: {role} runs {container['args']} of {container['image']}")
        if pod["terminationGracePeriodSeconds"] < span_of(objects, "drain_delay") + span_of(objects, "shutdown_grace") + 5:
            fail(f"{name}: {role} is killed before its time is over")


def span_of(objects, setting):
    """Its seconds."""
    number, unit = re.search(rf'\b{setting} = "(\d+)([smh])"', settings_of(objects)).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def check_network(name, objects):
    """Only federation reaches the world; the others what they must."""
    if [it for it in objects if it["kind"] == "Secret"]:
        fail(f"{name}: there is a Secret")
    for service in [it for it in objects if it["kind"] == "Service"]:
        role = service["metadata"]["labels"]["app.kubernetes.io/component"]
        if (service["spec"].get("clusterIP") == "None") != (role != "api"):
            fail(f"{name}: the service of {role} is headless, or should be")
    policies = {it["metadata"]["labels"]["app.kubernetes.io/component"]: it["spec"] for it in objects if it["kind"] == "NetworkPolicy"}
    if set(policies) != set(ROLES):
        fail(f"{name}: the network policies are those of {sorted(policies)}")
    calls = {"api": {"uploads", "thumbnails", "federation"}, "uploads": set(), "thumbnails": set(), "federation": {"uploads", "federation"}}
    for role, policy in policies.items():
        targets = [(to, rule.get("ports")) for rule in policy["egress"] for to in rule.get("to", [{}])]
        labels = [to["podSelector"]["matchLabels"] for to, _ in targets if "podSelector" in to]
        called = {it["app.kubernetes.io/component"] for it in labels if it.get("app.kubernetes.io/instance") == "media"}
        if called != calls[role]:
            fail(f"{name}: {role} may call {sorted(called)}")
        everywhere = [ports for to, ports in targets if not to or to.get("ipBlock", {}).get("cidr") in ("0.0.0.0/0", "::/0")]
        # A bucket of a cloud is public: port 443, and nothing private.
        wide = [ports for ports in everywhere if [it["port"] for it in ports or []] != [443]]
        if bool(wide) != (role == "federation"):
            fail(f"{name}: {role} reaches {wide or 'no'} ports of the world")
        for rule in policy["ingress"]:
            if role != "api" and not rule.get("from"):
                fail(f"{name}: everybody may call {role}")


def settings_of(objects):
    [settings] = [it for it in objects if it["kind"] == "ConfigMap" and it["metadata"]["name"].endswith("-settings")]
    return settings["data"]["heliograph.toml"]


def led_by_ingress(objects):
    """Which beginnings of paths lead here, by host."""
    [ingress] = [it for it in objects if it["kind"] == "Ingress"]
    return {rule["host"]: [re.escape(it["path"]) + "(/.*)?" for it in rule["http"]["paths"]] for rule in ingress["spec"]["rules"]}


def led_by_gateway(objects):
    led = {}
    for route in [it for it in objects if it["kind"] == "HTTPRoute"]:
        rules = route["spec"]["rules"]
        if len(rules) > 16 or any(len(it["matches"]) > 8 for it in rules):
            fail("a route is longer than gateways take")
        paths = [match["path"] for rule in rules for match in rule["matches"]]
        patterns = [re.escape(it["value"]) + "(/.*)?" if it["type"] == "PathPrefix" else it["value"] for it in paths]
        led.update({host: patterns for host in route["spec"]["hostnames"]})
    return led


def check_paths():
    """With everything switched on, every endpoint is led to us, and nothing that is none."""
    values = {
        "ingress": {"enabled": True, "hosts": ["shared.example"]},
        "gateway": {"enabled": True, "hosts": ["shared.example"], "parentRefs": [{"name": "a"}], "regularExpressions": True},
        "ownHosts": ["own.example"],
        "wellKnown": True,
        "moderation": True,
    }
    objects = render(values)
    found = re.findall(r"`(/[^`]+)`", ENDPOINTS.read_text())
    paths = {path for pattern in found for path in expand(pattern.replace("\\|", "|"))}
    if len(paths) < 40:
        fail(f"only {len(paths)} paths were found in {ENDPOINTS.name}")
    users, keys = "/_synapse/admin/v1/users/", ("/_matrix/key/", "/_matrix/federation/v1/version")
    # What an ingress cannot tell by how a path begins, and what stays with a homeserver.
    elsewhere = {
        ("ingress", "shared.example"): (users, *keys),
        ("ingress", "own.example"): (users,),
        ("gateway", "shared.example"): keys,
        ("gateway", "own.example"): (),
    }
    for by, led in {"ingress": led_by_ingress(objects), "gateway": led_by_gateway(objects)}.items():
        for host, patterns in led.items():
            exempt = tuple(elsewhere.pop((by, host)))
            astray = [path for path in sorted(paths) if not any(re.fullmatch(it, path) for it in patterns)]
            for path in [it for it in astray if not it.startswith(exempt or ("-",))]:
                fail(f"no rule of the {by} leads {path} of {host} here")
            for unused in [it for it in patterns if not any(re.fullmatch(it, path) for path in paths)]:
                fail(f"the {by} leads {unused} of {host} here, which is no path of ours")
    if elsewhere:
        fail(f"nothing leads to {sorted(elsewhere)}")


def check_measures(objects):
    """promtool accepts the alerts as they are rendered; what is asked for is measured."""
    [rules] = [it["spec"] for it in objects if it["kind"] == "PrometheusRule"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.safe_dump(rules))
        file.flush()
        done = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
        if done.returncode:
            fail(f"promtool refuses the alerts: {done.stdout}{done.stderr}")
    files = [CHART / "alerts.yaml", *sorted((CHART / "dashboards").glob("*.json"))]
    asked = {(file.name, it) for file in files for it in re.findall(r"\bheliograph_\w+", file.read_text())}
    sources = "".join(it.read_text() for folder in ["services", "proto"] for it in (ROOT / folder).rglob("*.rs"))
    measured = set(re.findall(r'"(heliograph_\w+)"', sources))
    for file, name in sorted(asked):
        if name not in measured and re.sub("_(bucket|sum|count)$", "", name) not in measured:
            fail(f"{file} asks for {name}, which nothing measures")
    [dashboards] = [it["data"] for it in objects if it["kind"] == "ConfigMap" and it["metadata"]["name"].endswith("-dashboard")]
    if {name: json.loads(text) for name, text in dashboards.items()} != {it.name: json.loads(it.read_text()) for it in files[1:]}:
        fail("the dashboards are not rendered as they are")


def expand(pattern):
    """`/a/(b|c)[/d]` is /a/b, /a/c, /a/b/d and /a/c/d."""
    group = re.search(r"\(([^()]*)\)|\[([^\[\]]*)\]", pattern)
    if not group:
        return [pattern]
    choices = group[1].split("|") if group[1] is not None else ["", group[2]]
    return [path for it in choices for path in expand(pattern[: group.start()] + it + pattern[group.end() :])]


def scaler(**redis):
    return {"roles": {"thumbnails": {"keda": {"enabled": True, "redis": redis}}}}


def check_scalers():
    """The scaler asks the Redis that there is, in the way of its topology."""
    for topology, kind in {"single": "redis-streams", "sentinel": "redis-sentinel-streams", "cluster": "redis-cluster-streams"}.items():
        addresses = ["a:6379"] if topology == "single" else ["a:6379", "b:6379"]
        values = scaler(topology=topology, addresses=addresses, sentinelMaster="main")
        values["settings"] = {"state": {"key_prefix": "p:"}}
        for complaint in complaints(values):
            fail(f"scaler of {topology}: {complaint}")
        [scaled] = [it for it in render(values) if it["kind"] == "ScaledObject"]
        [trigger] = scaled["spec"]["triggers"]
        metadata = trigger["metadata"]
        where = metadata.get("address") or metadata.get("addresses")
        if (trigger["type"], where, metadata["stream"]) != (kind, ",".join(addresses), "p:queue:{thumbnails}"):
            fail(f"scaler of {topology}: {trigger}")


def check_alerts():
    """Each alert fires in its case of alerts.yaml, and only there."""
    cases = ROOT / "tests/chart/alerts.yaml"
    done = subprocess.run(["promtool", "test", "rules", str(cases)], capture_output=True, text=True)
    if done.returncode:
        fail(f"an alert does not fire when it should, or when it should not: {done.stdout}{done.stderr}")
    named = re.findall(r"- alert: (\w+)", (CHART / "alerts.yaml").read_text())
    for name in named:
        if f"alertname: {name}\n" not in cases.read_text():
            fail(f"no case tells when {name} fires")


def check_refusals():
    for reason, values in {
        "a secret among the settings": {"settings": {"storage": {"secret_access_key": "x"}}},
        "a password of Redis among the settings": {"settings": {"state": {"redis_url": "redis://:password@a"}}},
        "another password of Redis among the settings": {"settings": {"state": {"redis_password": "x"}}},
        "an address that the chart sets": {"settings": {"api": {"listen": "127.0.0.1:1"}}},
        "a value that is misspelt": {"roles": {"api": {"replica": 1}}},
        "a homeserver without a name": {"settings": {"homeserver": [{}]}},
        "an ingress without a host": {"ingress": {"enabled": True}},
        "a route without a gateway": {"gateway": {"enabled": True}},
        "a scaler without a Redis": scaler(),
        "a scaler with two where one is wanted": scaler(addresses=["a:1", "b:1"]),
        "a scaler of sentinels without a name": scaler(topology="sentinel", addresses=["a:1"]),
        "a scaler with a password in it": scaler(addresses=["a:1"], password="x"),
        "a digest that is none": {"roles": {"api": {"image": {"digest": "latest"}}}},
    }.items():
        if not complaints(values):
            fail(f"{reason} was accepted")


def main():
    files = [None, *sorted((ROOT / "k8s/examples").glob("*.yaml"))]
    rendered = {}
    for file in files:
        name = file.stem if file else "default"
        values = yaml.safe_load(file.read_text()) if file else {}
        for complaint in complaints(values):
            fail(f"{name}: lint: {complaint}")
        objects = rendered[name] = render(values)
        compare(name, objects)
        validate(name, objects)
        connect(name, objects)
        check_pods(name, objects)
        check_network(name, objects)
        check_settings(name, objects)
        print(f"{name}: {len(objects)} objects against Kubernetes {', '.join(KUBERNETES)}")
    check_custom(rendered)
    check_paths()
    check_measures(rendered["cloud"])
    check_scalers()
    check_refusals()
    check_alerts()
    sys.exit(1 if failures else 0)


main()
