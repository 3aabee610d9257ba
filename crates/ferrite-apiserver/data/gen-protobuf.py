#!/usr/bin/env python3
"""Writes protobuf.txt: field numbers of Kubernetes' built-in types, from the generated.proto files of the served groups.

usage: gen-protobuf.py SCHEMA.txt.gz DIR... > protobuf.txt

SCHEMA is crates/ferrite-schema/data/builtin.txt.gz, which tells inlined Go structs from fields of the JSON form.
Each DIR is a checkout of kubernetes/api or kubernetes/apimachinery.
"""
import gzip, json, os, re, sys

GROUPS = """admissionregistration/v1 apps/v1 authentication/v1 authorization/v1 autoscaling/v1 autoscaling/v2 batch/v1
certificates/v1 coordination/v1 core/v1 discovery/v1 events/v1 flowcontrol/v1 networking/v1 node/v1 policy/v1 rbac/v1
scheduling/v1 storage/v1 pkg/api/resource pkg/apis/meta/v1 pkg/runtime pkg/util/intstr""".split()
SCALARS = {"string": "s", "bool": "b", "int32": "i", "int64": "i", "uint32": "i", "uint64": "i", "double": "f", "bytes": "y"}


def main():
    with gzip.open(sys.argv[1], "rt") as f:
        known = {n: json.loads(j).get("p", {}) for n, j in (line.rstrip("\n").split("\t") for line in f)}
    out = {}
    for root in sys.argv[2:]:
        for group in GROUPS:
            path = os.path.join(root, group, "generated.proto")
            if os.path.exists(path):
                read(open(path).read(), known, out)
    print("# message, tab, fields as name:number:type; s b i f y scalars, * list of, { map of, > inlined struct. See gen-protobuf.py.")
    for name in sorted(out):
        print(name + "\t" + " ".join(out[name]))


def read(text, known, out):
    package = re.search(r"^package ([\w.]+);", text, re.M).group(1)
    text = re.sub(r"//[^\n]*", "", text)
    for name, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.S | re.M):
        properties = known.get("io.k8s." + package.removeprefix("k8s.io.") + "." + name)
        fields = []
        for label, kind, field, number in re.findall(r"(optional|repeated|map)\s*(<[^>]*>|\.?[\w.]+) (\w+) = (\d+)", body):
            if kind.startswith("<"):
                token = "{" + resolve(kind.strip("<>").split(",")[1].strip(), package)
            else:
                token = ("*" if label == "repeated" else "") + resolve(kind, package)
            inlined = properties and field not in properties and len(token) > 1 and token[0] not in "*{"
            fields.append(f"{field}:{number}:{'>' if inlined else ''}{token}")
        out[short(package + "." + name)] = fields


def resolve(kind, package):
    if kind in SCALARS:
        return SCALARS[kind]
    return short(kind.lstrip(".") if "." in kind else package + "." + kind)


def short(name):
    return name.removeprefix("k8s.io.")


main()
