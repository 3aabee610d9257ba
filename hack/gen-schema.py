#!/usr/bin/env python3
"""Writes crates/ferrite-schema/data/builtin.txt.gz from published descriptions of Kubernetes' types.

usage: hack/gen-schema.py DEFINITIONS_JSON --go PREFIX=REPOSITORY ... [--out FILE]

DEFINITIONS_JSON  kubernetes_validate/kubernetes-json-schema/v1.36.0-local/_definitions.json of PyPI kubernetes-validate
--go              bare git repositories of the Go types, as `io.k8s.api=PATH`, `io.k8s.apimachinery=PATH`,
                  `io.k8s.apiextensions-apiserver=PATH`; only facts are read from them: field order, pointer or value, omitempty

One line for each definition: its name, a tab, compact JSON. Keys are explained in the data's README.
"""
import argparse, gzip, json, re, subprocess

SCALARS = set("string bool int int32 int64 uint8 float64 byte uint32".split())

# Defaults that Kubernetes' OpenAPI v3 documents declare for fields that Go leaves out when zero (or points to).
DEFAULTS = {
    "api.autoscaling.v1.ScaleSpec": {"replicas": 0},
    "api.certificates.v1beta1.PodCertificateRequestSpec": {"maxExpirationSeconds": 86400},
    "api.core.v1.AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "api.core.v1.ConfigMapEnvSource": {"name": ""},
    "api.core.v1.ConfigMapKeySelector": {"name": ""},
    "api.core.v1.ConfigMapProjection": {"name": ""},
    "api.core.v1.ConfigMapVolumeSource": {"name": ""},
    "api.core.v1.ContainerPort": {"protocol": "TCP"},
    "api.core.v1.FileKeySelector": {"optional": False},
    "api.core.v1.GRPCAction": {"service": ""},
    "api.core.v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "api.core.v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "api.core.v1.LocalObjectReference": {"name": ""},
    "api.core.v1.RBDPersistentVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "api.core.v1.RBDVolumeSource": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "api.core.v1.ReplicationControllerSpec": {"minReadySeconds": 0, "replicas": 1},
    "api.core.v1.ScaleIOPersistentVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "api.core.v1.ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "api.core.v1.SecretEnvSource": {"name": ""},
    "api.core.v1.SecretKeySelector": {"name": ""},
    "api.core.v1.SecretProjection": {"name": ""},
    "api.core.v1.ServicePort": {"protocol": "TCP"},
    "api.resource.v1.DeviceToleration": {"operator": "Equal"},
    "api.resource.v1alpha3.ResourcePoolStatusRequestSpec": {"limit": 100},
    "api.resource.v1beta1.DeviceToleration": {"operator": "Equal"},
    "api.resource.v1beta2.DeviceToleration": {"operator": "Equal"},
    "api.scheduling.v1alpha2.PodGroupSpec": {"disruptionMode": "Pod"},
}


class Go:
    """Struct fields of Go packages, by definition name."""

    def __init__(self, repositories):
        self.repositories, self.packages = repositories, {}

    def package(self, prefix, path):
        if (prefix, path) in self.packages:
            return self.packages[prefix, path]
        types = self.packages[prefix, path] = {}
        repository = self.repositories.get(prefix)
        if not repository:
            return types
        git = lambda *a: subprocess.run(["git", "-C", repository, *a], capture_output=True, text=True).stdout
        for name in git("ls-tree", "--name-only", "HEAD", path + "/").split():
            if not name.endswith(".go") or "_test" in name or "generated" in name:
                continue
            text = re.sub(r"//[^\n]*", "", git("show", "HEAD:" + name))
            for m in re.finditer(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
                types[m[1]] = [l.strip() for l in m[2].split("\n") if l.strip()]
            for m in re.finditer(r"^\s*(?:type )?(\w+) (=? ?\[\]\w+|=? ?map\[\w+\][\w.]+|string|bool|int32|int64)$", text, re.M):
                types.setdefault(m[1], m[2].lstrip("= "))
        return types

    def locate(self, definition):
        for prefix in self.repositories:
            if definition.startswith(prefix + "."):
                parts = definition[len(prefix) + 1:].split(".")
                return prefix, "/".join(parts[:-1]), parts[-1]
        return None

    def fields(self, prefix, path, name):
        """[(json name, flags)] in Go's order; inlined structs are unfolded."""
        body = self.package(prefix, path).get(name)
        out = []
        if not isinstance(body, list):
            return out
        for line in body:
            m = re.match(r'^(?:(\w+)\s+)?([\w.*\[\]{}]+)\s+`.*?json:"([^"]*)"', line)
            if not m:
                continue
            tag = m[3].split(",")
            if "inline" in tag or (not tag[0] and not m[1]):
                out += self.inlined(prefix, path, m[2].lstrip("*"))
            elif tag[0] and tag[0] != "-":
                out.append((tag[0], self.flags(prefix, path, m[2], tag[1:])))
        return out

    def inlined(self, prefix, path, type_):
        if type_.startswith("metav1."):
            return self.fields("io.k8s.apimachinery", "pkg/apis/meta/v1", type_[7:])
        if type_.startswith("v1."):
            return self.fields("io.k8s.api", "core/v1", type_[3:])
        return self.fields(prefix, path, type_)

    def flags(self, prefix, path, type_, options):
        f = "o" if "omitempty" in options else ""
        if "omitzero" in options:
            f += "z"
        if type_.startswith("*"):
            return f + "p"
        if type_.startswith("[") or type_.startswith("map["):
            return f
        if type_ in SCALARS:
            return f
        short = type_.split(".")[-1]
        if "." in type_:
            alias = type_.split(".")[0]
            known = {"metav1": ("io.k8s.apimachinery", "pkg/apis/meta/v1"), "v1": ("io.k8s.api", "core/v1"),
                     "corev1": ("io.k8s.api", "core/v1"), "apiv1": ("io.k8s.api", "core/v1")}
            if alias not in known:
                return f + ("" if short == "UID" else "s")
            prefix, path = known[alias]
        body = self.package(prefix, path).get(short)
        return f + ("s" if isinstance(body, list) else "")


def convert(node, go_flags=None):
    """One schema node in the compact form."""
    out = {}
    if "$ref" in node:
        out["r"] = node["$ref"].rsplit("/", 1)[1]
    kind = node.get("type")
    if isinstance(kind, list):
        kind = next(k for k in kind if k != "null")
    if kind:
        out["t"] = kind
    for key, short in (("format", "f"), ("x-kubernetes-list-type", "lt"), ("x-kubernetes-list-map-keys", "lk"),
                       ("x-kubernetes-map-type", "mt"), ("x-kubernetes-patch-strategy", "ps"),
                       ("x-kubernetes-patch-merge-key", "pk"), ("required", "q")):
        if key in node:
            out[short] = node[key]
    if "x-kubernetes-preserve-unknown-fields" in node:
        out["u"] = 1
    if "items" in node:
        out["i"] = convert(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        out["a"] = convert(node["additionalProperties"])
    if go_flags:
        out["o"] = go_flags
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("definitions")
    p.add_argument("--go", action="append", default=[])
    p.add_argument("--out", default="crates/ferrite-schema/data/builtin.txt.gz")
    a = p.parse_args()
    go = Go(dict(x.split("=", 1) for x in a.go))
    lines = []
    for name, node in sorted(json.load(open(a.definitions))["$defs"].items()):
        out = convert(node)
        gvk = [[g["group"], g["version"], g["kind"]] for g in node.get("x-kubernetes-group-version-kind", [])]
        if gvk:
            out["g"] = gvk
        properties = node.get("properties") or {}
        place = go.locate(name)
        order = dict(go.fields(*place)) if place else {}
        names = [n for n in order if n in properties] + sorted(n for n in properties if n not in order)
        if names:
            out["p"] = {n: convert(properties[n], order.get(n)) for n in names}
        for field, default in DEFAULTS.get(name.removeprefix("io.k8s."), {}).items():
            out["p"][field]["d"] = default
        if name.endswith(".IntOrString"):
            out = {"t": "int-or-string"}
        elif name.endswith(".Quantity"):
            out = {"t": "quantity"}
        lines.append(name + "\t" + json.dumps(out, separators=(",", ":")))
    data = ("\n".join(lines) + "\n").encode()
    with open(a.out, "wb") as f:
        f.write(gzip.compress(data, 9, mtime=0))
    print(f"{len(lines)} definitions, {len(data)} bytes")


main()
