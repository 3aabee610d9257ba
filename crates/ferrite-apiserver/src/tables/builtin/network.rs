//! Rows of Services and what is around them.

use serde_json::Value;

use super::{NONE, labels, plain, selector};
use crate::json::{is_empty, items, text};

pub(super) fn network(key: &str, o: &Value, age: Value) -> Vec<Value> {
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

pub(super) fn some(list: &[String], most: usize) -> String {
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
