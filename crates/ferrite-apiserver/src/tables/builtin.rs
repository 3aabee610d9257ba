//! Columns and cells of built-in kinds, as the real server prints them.

mod pods;

use serde_json::{Value, json};

use super::{Column, Columns, age, duration};
use crate::json::{at, is_empty, items, text};
use crate::resources::Resource;

const NONE: &str = "<none>";

/// The line of a resource in the table of columns.
fn line(key: &str) -> Option<&'static str> {
    include_str!("columns.txt")
        .lines()
        .find_map(|l| l.split_once(' ').filter(|(k, _)| *k == key).map(|(_, rest)| rest))
}

pub(crate) fn columns(resource: &Resource) -> Columns {
    if resource.plural == "events" {
        return events();
    }
    let mut columns = vec![Column::new("Name", "string", "name", 0)];
    match line(&resource.key) {
        Some(line) => columns.extend(line.split('|').map(parse)),
        // What has no printer of its own: kind-less kinds.
        None => columns.push(Column::new("Age", "string", "", 0)),
    }
    columns
}

fn parse(text: &str) -> Column {
    match text {
        "@age" => return Column::new("Age", "string", "", 0),
        "@created" => return Column::new("Created At", "date", "", 0),
        _ => {}
    }
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let kind = parts.next().unwrap_or("string");
    let priority = parts.next().and_then(|p| p.parse().ok()).unwrap_or_default();
    Column::new(name, kind, "", priority)
}

fn events() -> Columns {
    [
        ("Last Seen", "string", 0),
        ("Type", "string", 0),
        ("Reason", "string", 0),
        ("Object", "string", 0),
        ("Subobject", "string", 1),
        ("Source", "string", 1),
        ("Message", "string", 0),
        ("First Seen", "string", 1),
        ("Count", "integer", 1),
        ("Name", "string", 1),
    ]
    .map(|(name, kind, priority)| Column::new(name, kind, if name == "Name" { "name" } else { "" }, priority))
    .to_vec()
}

/// What says that a row is of something finished.
pub(crate) fn conditions(resource: &Resource, o: &Value) -> Option<Value> {
    if !resource.is("", "pods") {
        return None;
    }
    let (reason, message) = match text(&o["status"], "phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

pub(crate) fn cells(resource: &Resource, o: &Value) -> Vec<Value> {
    let name = o["metadata"]["name"].clone();
    let age: Value = age(&o["metadata"]["creationTimestamp"]).into();
    let rest: Vec<Value> = match &*resource.key {
        "/events" => return event(o, name),
        "/pods" => pods::cells(o, age),
        "apps/deployments"
        | "apps/replicasets"
        | "apps/statefulsets"
        | "apps/daemonsets"
        | "apps/controllerrevisions"
        | "batch/jobs"
        | "batch/cronjobs"
        | "/replicationcontrollers"
        | "/podtemplates" => workload(&resource.key, o, age),
        "/services"
        | "/endpoints"
        | "discovery.k8s.io/endpointslices"
        | "networking.k8s.io/ingresses"
        | "networking.k8s.io/ingressclasses"
        | "networking.k8s.io/networkpolicies" => network(&resource.key, o, age),
        "/persistentvolumes" | "/persistentvolumeclaims" => volume(&resource.key, o, age),
        "rbac.authorization.k8s.io/rolebindings" | "rbac.authorization.k8s.io/clusterrolebindings" => {
            binding(o, age)
        }
        "rbac.authorization.k8s.io/roles"
        | "rbac.authorization.k8s.io/clusterroles"
        | "/limitranges"
        | "apiextensions.k8s.io/customresourcedefinitions" => {
            vec![o["metadata"]["creationTimestamp"].clone()]
        }
        "/nodes" => node(o, age),
        "/resourcequotas" => quota(o, age),
        "autoscaling/horizontalpodautoscalers" => autoscaler(o, age),
        _ => small(&resource.key, o, age),
    };
    std::iter::once(name).chain(rest).collect()
}

/// The kinds that show a few fields as they are.
fn small(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let count =
        |v: &Value| -> Value { v.as_object().map_or_else(|| items(v).len(), serde_json::Map::len).into() };
    let field = |path: &[&str]| -> Value { shown(at(o, path)) };
    match key {
        "/namespaces" => vec![field(&["status", "phase"]), age],
        "/secrets" => vec![field(&["type"]), count(&o["data"]), age],
        "/configmaps" => {
            let total = [&o["data"], &o["binaryData"]]
                .iter()
                .filter_map(|m| m.as_object().map(serde_json::Map::len))
                .sum::<usize>();
            vec![total.into(), age]
        }
        "policy/poddisruptionbudgets" => {
            let bound = |v: &Value| -> Value { if v.is_null() { "N/A".into() } else { plain(v).into() } };
            let allowed = o["status"]["disruptionsAllowed"].as_i64().unwrap_or_default();
            vec![bound(&o["spec"]["minAvailable"]), bound(&o["spec"]["maxUnavailable"]), allowed.into(), age]
        }
        "apiregistration.k8s.io/apiservices" => {
            let service = &o["spec"]["service"];
            let shown = if service.is_object() {
                format!("{}/{}", text(service, "namespace"), text(service, "name"))
            } else {
                "Local".into()
            };
            let available = items(&o["status"]["conditions"]).iter().find(|c| c["type"] == "Available");
            let state = match available {
                Some(c) if c["status"] == "True" => "True".to_owned(),
                Some(c) => format!("{} ({})", text(c, "status"), text(c, "reason")),
                None => "Unknown".to_owned(),
            };
            vec![shown.into(), state.into(), age]
        }
        "certificates.k8s.io/certificatesigningrequests" => {
            let conditions: Vec<&str> =
                items(&o["status"]["conditions"]).iter().map(|c| text(c, "type")).collect();
            let state = if conditions.is_empty() { "Pending".to_owned() } else { conditions.join(",") };
            let period = o["spec"]["expirationSeconds"].as_i64().map_or_else(|| NONE.to_owned(), duration);
            vec![
                age,
                field(&["spec", "signerName"]),
                field(&["spec", "username"]),
                period.into(),
                state.into(),
            ]
        }
        "coordination.k8s.io/leases" => vec![text(&o["spec"], "holderIdentity").into(), age],
        _ => rare(key, o, age),
    }
}

/// The rest of those: storage, scheduling, admission.
fn rare(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let field = |path: &[&str]| -> Value { shown(at(o, path)) };
    match key {
        "storage.k8s.io/storageclasses" => {
            let expands = o["allowVolumeExpansion"] == true;
            vec![
                field(&["provisioner"]),
                field(&["reclaimPolicy"]),
                field(&["volumeBindingMode"]),
                expands.into(),
                age,
            ]
        }
        "storage.k8s.io/csidrivers" => {
            let spec = &o["spec"];
            let modes: Vec<&str> =
                items(&spec["volumeLifecycleModes"]).iter().filter_map(Value::as_str).collect();
            let tokens: Vec<&str> =
                items(&spec["tokenRequests"]).iter().map(|t| text(t, "audience")).collect();
            let tokens = if tokens.is_empty() { "<unset>".to_owned() } else { tokens.join(",") };
            vec![
                spec["attachRequired"].clone(),
                spec["podInfoOnMount"].clone(),
                spec["storageCapacity"].clone(),
                tokens.into(),
                spec["requiresRepublish"].clone(),
                modes.join(",").into(),
                age,
            ]
        }
        "storage.k8s.io/csinodes" => vec![items(&o["spec"]["drivers"]).len().into(), age],
        "storage.k8s.io/volumeattachments" => vec![
            field(&["spec", "attacher"]),
            field(&["spec", "source", "persistentVolumeName"]),
            field(&["spec", "nodeName"]),
            (o["status"]["attached"] == true).into(),
            age,
        ],
        "scheduling.k8s.io/priorityclasses" => {
            let value = o["value"].as_i64().unwrap_or_default();
            vec![value.into(), (o["globalDefault"] == true).into(), age, field(&["preemptionPolicy"])]
        }
        "node.k8s.io/runtimeclasses" => vec![field(&["handler"]), age],
        "admissionregistration.k8s.io/mutatingwebhookconfigurations"
        | "admissionregistration.k8s.io/validatingwebhookconfigurations" => {
            vec![items(&o["webhooks"]).len().into(), age]
        }
        "admissionregistration.k8s.io/validatingadmissionpolicies" => {
            let kind = &o["spec"]["paramKind"];
            let shown = if kind.is_object() {
                format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind"))
            } else {
                "<unset>".into()
            };
            vec![items(&o["spec"]["validations"]).len().into(), shown.into(), age]
        }
        "admissionregistration.k8s.io/validatingadmissionpolicybindings" => {
            let reference = &o["spec"]["paramRef"];
            let shown = if reference.is_object() { plain(&reference["name"]) } else { "<unset>".into() };
            vec![field(&["spec", "policyName"]), shown.into(), age]
        }
        "flowcontrol.apiserver.k8s.io/flowschemas" => {
            let method = text(&o["spec"]["distinguisherMethod"], "type");
            let level = field(&["spec", "priorityLevelConfiguration", "name"]);
            let precedence = o["spec"]["matchingPrecedence"].clone();
            vec![
                level,
                precedence,
                if method.is_empty() { NONE.into() } else { method.into() },
                age,
                "?".into(),
            ]
        }
        _ => vec![age],
    }
}

fn shown(value: &Value) -> Value {
    if value.is_null() { "".into() } else { plain(value).into() }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Labels as `a=b,c=d`.
fn labels(map: &Value) -> String {
    let mut parts: Vec<String> =
        map.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", plain(v))).collect();
    parts.sort();
    if parts.is_empty() { NONE.to_owned() } else { parts.join(",") }
}

/// A `LabelSelector` as text.
fn selector(value: &Value) -> String {
    if value.is_null() {
        return NONE.to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    if !is_empty(&value["matchLabels"]) {
        parts.push(labels(&value["matchLabels"]));
    }
    for e in items(&value["matchExpressions"]) {
        let values: Vec<&str> = items(&e["values"]).iter().filter_map(Value::as_str).collect();
        let key = text(e, "key");
        parts.push(match text(e, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    if parts.is_empty() { NONE.to_owned() } else { parts.join(",") }
}

fn containers(spec: &Value) -> (String, String) {
    let list = items(&spec["containers"]);
    let join = |key: &str| list.iter().map(|c| text(c, key)).collect::<Vec<_>>().join(",");
    (join("name"), join("image"))
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn workload(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let (names, images) = containers(&spec["template"]["spec"]);
    let (names, images): (Value, Value) = (names.into(), images.into());
    let wanted = number(&spec["replicas"]);
    let selected = |s: &Value| -> Value { selector(s).into() };
    match key {
        "apps/deployments" => vec![
            format!("{}/{}", number(&status["readyReplicas"]), number(&status["replicas"]).max(0)).into(),
            number(&status["updatedReplicas"]).into(),
            number(&status["availableReplicas"]).into(),
            age,
            names,
            images,
            selected(&spec["selector"]),
        ],
        "apps/statefulsets" => {
            vec![format!("{}/{wanted}", number(&status["readyReplicas"])).into(), age, names, images]
        }
        "apps/replicasets" => vec![
            wanted.into(),
            number(&status["replicas"]).into(),
            number(&status["readyReplicas"]).into(),
            age,
            names,
            images,
            selected(&spec["selector"]),
        ],
        "/replicationcontrollers" => vec![
            wanted.into(),
            number(&status["replicas"]).into(),
            number(&status["readyReplicas"]).into(),
            age,
            names,
            images,
            labels(&spec["selector"]).into(),
        ],
        "apps/daemonsets" => {
            let count = |name: &str| -> Value { number(&status[name]).into() };
            vec![
                count("desiredNumberScheduled"),
                count("currentNumberScheduled"),
                count("numberReady"),
                count("updatedNumberScheduled"),
                count("numberAvailable"),
                labels(&spec["template"]["spec"]["nodeSelector"]).into(),
                age,
                names,
                images,
                selected(&spec["selector"]),
            ]
        }
        "apps/controllerrevisions" => {
            let owner = items(&o["metadata"]["ownerReferences"]).iter().find(|r| r["controller"] == true);
            let shown = owner.map_or_else(|| NONE.to_owned(), controller);
            vec![shown.into(), o["revision"].clone(), age]
        }
        "/podtemplates" => {
            let (names, images) = containers(&o["template"]["spec"]);
            vec![names.into(), images.into(), labels(&o["template"]["metadata"]["labels"]).into()]
        }
        "batch/cronjobs" => {
            let (names, images) = containers(&spec["jobTemplate"]["spec"]["template"]["spec"]);
            let last = &status["lastScheduleTime"];
            let last = if last.is_null() { NONE.to_owned() } else { super::age(last) };
            let zone = spec["timeZone"].as_str().unwrap_or(NONE);
            let suspended = if spec["suspend"] == true { "True" } else { "False" };
            vec![
                text(spec, "schedule").into(),
                zone.into(),
                suspended.into(),
                items(&status["active"]).len().into(),
                last.into(),
                age,
                names.into(),
                images.into(),
                NONE.into(),
            ]
        }
        _ => job(o, age, names, images),
    }
}

fn controller(reference: &Value) -> String {
    let (group, _) = crate::resources::split_group_version(text(reference, "apiVersion"));
    let kind = text(reference, "kind").to_lowercase();
    let kind = if group.is_empty() { kind } else { format!("{kind}.{group}") };
    format!("{kind}/{}", text(reference, "name"))
}

fn job(o: &Value, age: Value, names: Value, images: Value) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let succeeded = number(&status["succeeded"]);
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64()) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, Some(parallel)) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let time = |v: &Value| v.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let took = match (time(&status["startTime"]), time(&status["completionTime"])) {
        (None, _) => String::new(),
        (Some(start), None) => duration(crate::clock::now().as_second() - start.as_second()),
        (Some(start), Some(end)) => duration(end.as_second() - start.as_second()),
    };
    let is =
        |kind: &str| items(&status["conditions"]).iter().any(|c| c["type"] == kind && c["status"] == "True");
    let state = if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if !o["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    vec![
        state.into(),
        completions.into(),
        took.into(),
        age,
        names,
        images,
        selector(&spec["selector"]).into(),
    ]
}

fn network(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let spec = &o["spec"];
    match key {
        "/services" => service(o, age),
        "/endpoints" => {
            let mut found = Vec::new();
            for subset in items(&o["subsets"]) {
                for address in items(&subset["addresses"]) {
                    let ports = items(&subset["ports"]);
                    if ports.is_empty() {
                        found.push(text(address, "ip").to_owned());
                    }
                    found.extend(ports.iter().map(|p| format!("{}:{}", text(address, "ip"), p["port"])));
                }
            }
            vec![some(&found, 3).into(), age]
        }
        "discovery.k8s.io/endpointslices" => {
            let ports: Vec<String> = items(&o["ports"]).iter().map(|p| plain(&p["port"])).collect();
            let addresses: Vec<String> = items(&o["endpoints"])
                .iter()
                .flat_map(|e| items(&e["addresses"]).iter().map(plain))
                .collect();
            let unset = |list: &[String]| if list.is_empty() { "<unset>".to_owned() } else { some(list, 3) };
            vec![text(o, "addressType").into(), unset(&ports).into(), unset(&addresses).into(), age]
        }
        "networking.k8s.io/ingressclasses" => {
            let parameters = &spec["parameters"];
            let shown = if parameters.is_object() {
                let group = text(parameters, "apiGroup");
                let kind = if group.is_empty() {
                    text(parameters, "kind").to_owned()
                } else {
                    format!("{}.{group}", text(parameters, "kind"))
                };
                format!("{kind}/{}", text(parameters, "name"))
            } else {
                NONE.to_owned()
            };
            vec![text(spec, "controller").into(), shown.into(), age]
        }
        "networking.k8s.io/networkpolicies" => vec![selector(&spec["podSelector"]).into(), age],
        _ => ingress(o, age),
    }
}

fn some(list: &[String], most: usize) -> String {
    if list.is_empty() {
        return NONE.to_owned();
    }
    let head: Vec<&str> = list.iter().take(most).map(String::as_str).collect();
    if list.len() > most {
        format!("{} + {} more...", head.join(","), list.len() - most)
    } else {
        head.join(",")
    }
}

fn ingress(o: &Value, age: Value) -> Vec<Value> {
    let spec = &o["spec"];
    let class = match text(spec, "ingressClassName") {
        "" => NONE,
        class => class,
    };
    let hosts: Vec<String> =
        items(&spec["rules"]).iter().map(|r| text(r, "host").to_owned()).filter(|h| !h.is_empty()).collect();
    let hosts = if hosts.is_empty() { "*".to_owned() } else { some(&hosts, 3) };
    let ports = if is_empty(&spec["tls"]) { "80" } else { "80, 443" };
    vec![class.into(), hosts.into(), balancer(o).into(), ports.into(), age]
}

fn balancer(o: &Value) -> String {
    let list = items(&o["status"]["loadBalancer"]["ingress"]);
    let shown = |i: &Value| {
        if text(i, "ip").is_empty() { text(i, "hostname").to_owned() } else { text(i, "ip").to_owned() }
    };
    list.iter().map(shown).filter(|t| !t.is_empty()).collect::<Vec<_>>().join(",")
}

fn service(o: &Value, age: Value) -> Vec<Value> {
    let spec = &o["spec"];
    let kind = text(spec, "type");
    let addresses: Vec<&str> = items(&spec["externalIPs"]).iter().filter_map(Value::as_str).collect();
    let external = match kind {
        "ExternalName" => text(spec, "externalName").to_owned(),
        "LoadBalancer" => {
            let mut all: Vec<String> = Some(balancer(o)).filter(|b| !b.is_empty()).into_iter().collect();
            all.extend(addresses.iter().map(|a| (*a).to_owned()));
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        _ if addresses.is_empty() => NONE.to_owned(),
        _ => addresses.join(","),
    };
    let ports: Vec<String> = items(&spec["ports"])
        .iter()
        .map(|p| match p["nodePort"].as_i64().filter(|n| *n > 0) {
            Some(node) => format!("{}:{node}/{}", p["port"], text(p, "protocol")),
            None => format!("{}/{}", p["port"], text(p, "protocol")),
        })
        .collect();
    let ports = if ports.is_empty() { NONE.to_owned() } else { ports.join(",") };
    let ip = match text(spec, "clusterIP") {
        "" => NONE,
        ip => ip,
    };
    vec![kind.into(), ip.into(), external.into(), ports.into(), age, labels(&spec["selector"]).into()]
}

fn modes(list: &Value) -> String {
    let short = |m: &Value| match m.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        Some(_) | None => "",
    };
    items(list).iter().map(short).collect::<Vec<_>>().join(",")
}

fn volume(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let going = !o["metadata"]["deletionTimestamp"].is_null();
    let phase = if going { "Terminating" } else { text(status, "phase") };
    let class = match text(spec, "volumeAttributesClassName") {
        "" => "<unset>",
        name => name,
    };
    let mode = match text(spec, "volumeMode") {
        "" => "<unset>",
        mode => mode,
    };
    if key == "/persistentvolumes" {
        let claim = &spec["claimRef"];
        let claim = if claim.is_object() {
            format!("{}/{}", text(claim, "namespace"), text(claim, "name"))
        } else {
            String::new()
        };
        return vec![
            plain(&spec["capacity"]["storage"]).into(),
            modes(&spec["accessModes"]).into(),
            text(spec, "persistentVolumeReclaimPolicy").into(),
            phase.into(),
            claim.into(),
            text(spec, "storageClassName").into(),
            class.into(),
            text(status, "reason").into(),
            age,
            mode.into(),
        ];
    }
    let bound = !text(spec, "volumeName").is_empty();
    let (capacity, access) = if bound {
        (plain(&status["capacity"]["storage"]), modes(&status["accessModes"]))
    } else {
        (String::new(), String::new())
    };
    vec![
        phase.into(),
        text(spec, "volumeName").into(),
        capacity.into(),
        access.into(),
        text(spec, "storageClassName").into(),
        class.into(),
        age,
        mode.into(),
    ]
}

fn binding(o: &Value, age: Value) -> Vec<Value> {
    let of = |kind: &str| {
        let named = items(&o["subjects"]).iter().filter(|s| s["kind"] == kind);
        let shown = named.map(|s| match text(s, "namespace") {
            "" => text(s, "name").to_owned(),
            namespace => format!("{namespace}/{}", text(s, "name")),
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    let role = format!("{}/{}", text(&o["roleRef"], "kind"), text(&o["roleRef"], "name"));
    vec![role.into(), age, of("User").into(), of("Group").into(), of("ServiceAccount").into()]
}

fn node(o: &Value, age: Value) -> Vec<Value> {
    let ready = items(&o["status"]["conditions"]).iter().find(|c| c["type"] == "Ready");
    let mut state = match ready {
        Some(c) if c["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if o["spec"]["unschedulable"] == true {
        state.push_str(",SchedulingDisabled");
    }
    let prefix = "node-role.kubernetes.io/";
    let labels = o["metadata"]["labels"].as_object().into_iter().flatten();
    let mut roles: Vec<&str> =
        labels.filter_map(|(k, _)| k.strip_prefix(prefix)).filter(|r| !r.is_empty()).collect();
    roles.sort_unstable();
    let roles = if roles.is_empty() { NONE.to_owned() } else { roles.join(",") };
    let info = &o["status"]["nodeInfo"];
    let address = |kind: &str| {
        items(&o["status"]["addresses"])
            .iter()
            .find(|a| a["type"] == kind)
            .map_or(NONE, |a| text(a, "address"))
            .to_owned()
    };
    let unknown = |key: &str| {
        if text(info, key).is_empty() { "<unknown>".to_owned() } else { text(info, key).to_owned() }
    };
    vec![
        state.into(),
        roles.into(),
        age,
        text(info, "kubeletVersion").into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        unknown("osImage").into(),
        unknown("kernelVersion").into(),
        unknown("containerRuntimeVersion").into(),
    ]
}

fn quota(o: &Value, age: Value) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let mut names: Vec<&String> =
        o["status"]["hard"].as_object().into_iter().flatten().map(|(k, _)| k).collect();
    names.sort();
    for name in names {
        let side = if name.starts_with("limits.") { &mut limits } else { &mut requests };
        side.push(format!(
            "{name}: {}/{}",
            plain(&o["status"]["used"][name]),
            plain(&o["status"]["hard"][name])
        ));
    }
    vec![requests.join(", ").into(), limits.join(", ").into(), age]
}

fn autoscaler(o: &Value, age: Value) -> Vec<Value> {
    let spec = &o["spec"];
    let reference =
        format!("{}/{}", text(&spec["scaleTargetRef"], "kind"), text(&spec["scaleTargetRef"], "name"));
    let mut targets: Vec<String> = Vec::new();
    for (i, metric) in items(&spec["metrics"]).iter().enumerate() {
        targets.push(target(metric, &o["status"]["currentMetrics"][i]));
    }
    if let Some(percent) = spec["targetCPUUtilizationPercentage"].as_i64() {
        let now = o["status"]["currentCPUUtilizationPercentage"]
            .as_i64()
            .map_or("<unknown>".to_owned(), |p| format!("{p}%"));
        targets.push(format!("cpu: {now}/{percent}%"));
    }
    let least = spec["minReplicas"].as_i64().map_or("<unset>".to_owned(), |m| m.to_string());
    vec![
        reference.into(),
        (if targets.is_empty() { NONE.to_owned() } else { some(&targets, 2) }).into(),
        least.into(),
        spec["maxReplicas"].clone(),
        number(&o["status"]["currentReplicas"]).into(),
        age,
    ]
}

fn target(metric: &Value, current: &Value) -> String {
    let kind = match text(metric, "type") {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return "<unknown type>".to_owned(),
    };
    let (source, now) = (&metric[kind], &current[kind]["current"]);
    let wanted = &source["target"];
    let value = |v: &Value, percent: bool| match v {
        Value::Null => "<unknown>".to_owned(),
        v if percent => format!("{}%", plain(v)),
        v => plain(v),
    };
    let utilization = !wanted["averageUtilization"].is_null();
    let key = if utilization {
        "averageUtilization"
    } else if wanted["averageValue"].is_null() {
        "value"
    } else {
        "averageValue"
    };
    let shown = format!("{}/{}", value(&now[key], utilization), value(&wanted[key], utilization));
    if kind == "resource" { format!("{}: {shown}", text(source, "name")) } else { shown }
}

fn event(o: &Value, name: Value) -> Vec<Value> {
    // Either version: the older names win where they are there.
    let either = |a: &str, b: &str| if o[a].is_null() { o[b].clone() } else { o[a].clone() };
    let object = either("involvedObject", "regarding");
    let first = either("firstTimestamp", "deprecatedFirstTimestamp");
    let last = either("lastTimestamp", "deprecatedLastTimestamp");
    let time = |t: &Value| if t.is_null() { age(&o["eventTime"]) } else { age(t) };
    let (first_seen, last_seen) = match &o["series"] {
        Value::Object(series) => {
            (age(&o["eventTime"]), series.get("lastObservedTime").map_or_else(String::new, age))
        }
        _ => (time(&first), time(if last.is_null() { &first } else { &last })),
    };
    let count =
        o["series"]["count"].as_i64().or_else(|| either("count", "deprecatedCount").as_i64()).unwrap_or(1);
    let source = either("source", "deprecatedSource");
    let component = if text(&source, "component").is_empty() {
        plain(&either("reportingComponent", "reportingController"))
    } else {
        text(&source, "component").to_owned()
    };
    let host = text(&source, "host");
    let source = if host.is_empty() { component } else { format!("{component}, {host}") };
    let target = match text(&object, "name") {
        "" => text(&object, "kind").to_lowercase(),
        name => format!("{}/{name}", text(&object, "kind").to_lowercase()),
    };
    vec![
        last_seen.into(),
        text(o, "type").into(),
        text(o, "reason").into(),
        target.into(),
        text(&object, "fieldPath").into(),
        source.into(),
        plain(&either("message", "note")).trim().into(),
        first_seen.into(),
        json!(count.max(1)),
        name,
    ]
}
