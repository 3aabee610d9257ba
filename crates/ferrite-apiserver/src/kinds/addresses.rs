//! Cluster addresses and node ports of Services.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::json::{is_empty, items, text};
use crate::status::Cause;
use crate::store::Store;

/// 10.96.0.0/16; the first address is the API server's own.
const NETWORK: u32 = 0x0a60_0000;
const SIZE: u32 = 1 << 16;
const PORTS: std::ops::RangeInclusive<u64> = 30000..=32767;

/// Which addresses and ports are taken, by `namespace/name`.
#[derive(Debug)]
pub(crate) struct Allocations {
    addresses: HashMap<Ipv4Addr, String>,
    ports: HashMap<(u64, String), String>,
    next: u32,
    next_port: u64,
}

impl Default for Allocations {
    fn default() -> Self {
        Self { addresses: HashMap::new(), ports: HashMap::new(), next: 10, next_port: *PORTS.start() }
    }
}

fn owner(service: &Value) -> String {
    format!("{}/{}", text(&service["metadata"], "namespace"), text(&service["metadata"], "name"))
}

impl Allocations {
    /// What the stored Services hold.
    pub(crate) fn load(&mut self, store: &Store) {
        for object in store.list("/services", None).objects {
            self.note(&object.value());
        }
    }

    fn note(&mut self, service: &Value) {
        let owner = owner(service);
        if let Ok(ip) = text(&service["spec"], "clusterIP").parse() {
            self.addresses.insert(ip, owner.clone());
        }
        for port in items(&service["spec"]["ports"]) {
            if let Some(number) = port["nodePort"].as_u64().filter(|n| *n > 0) {
                self.ports.insert((number, text(port, "protocol").to_owned()), owner.clone());
            }
        }
    }

    /// The Service is gone.
    pub(crate) fn release(&mut self, namespace: &str, name: &str) {
        let owner = format!("{namespace}/{name}");
        self.addresses.retain(|_, o| *o != owner);
        self.ports.retain(|_, o| *o != owner);
    }

    /// Gives the Service what its type asks for. Nothing is kept when `dry`.
    pub(crate) fn assign(&mut self, live: Option<&Value>, service: &mut Value, dry: bool) -> Vec<Cause> {
        let mut causes = Vec::new();
        let (next, next_port) = (self.next, self.next_port);
        families(live, service);
        self.address(live, service, dry, &mut causes);
        self.node_ports(live, service, &mut causes);
        if causes.is_empty() && !dry {
            let owner = owner(service);
            self.addresses.retain(|_, o| *o != owner);
            self.ports.retain(|_, o| *o != owner);
            self.note(service);
        }
        if dry {
            (self.next, self.next_port) = (next, next_port);
        }
        causes
    }

    fn address(&mut self, live: Option<&Value>, service: &mut Value, dry: bool, causes: &mut Vec<Cause>) {
        let owner = owner(service);
        let spec = &mut service["spec"];
        if spec["type"] == "ExternalName" {
            return;
        }
        let asked = match text(spec, "clusterIP") {
            "" => items(&spec["clusterIPs"]).first().and_then(Value::as_str).unwrap_or_default().to_owned(),
            ip => ip.to_owned(),
        };
        let had = live.map(|l| text(&l["spec"], "clusterIP")).unwrap_or_default();
        if asked == "None" || !asked.is_empty() && asked == had {
            spec["clusterIP"] = asked.as_str().into();
            spec["clusterIPs"] = json!([asked]);
            return;
        }
        let ip = if asked.is_empty() && dry {
            // A dry run shows an address of the range, taken or not.
            Ipv4Addr::from(NETWORK + SIZE / 2)
        } else if asked.is_empty() {
            match self.free() {
                Some(ip) => ip,
                None => {
                    return causes.push(Cause::invalid(
                        "spec.clusterIPs",
                        &json!([]),
                        "failed to allocate a serviceIP: range is full",
                    ));
                }
            }
        } else {
            let Ok(ip) = asked.parse::<Ipv4Addr>() else { return };
            let failed = |why: &str| {
                Cause::invalid(
                    "spec.clusterIPs",
                    &json!([asked]),
                    &format!("failed to allocate IP {asked}: {why}"),
                )
            };
            if u32::from(ip) & !(SIZE - 1) != NETWORK {
                return causes.push(failed("the provided network does not match the current range"));
            }
            if self.addresses.get(&ip).is_some_and(|o| *o != owner) {
                return causes.push(failed("provided IP is already allocated"));
            }
            ip
        };
        spec["clusterIP"] = ip.to_string().into();
        spec["clusterIPs"] = json!([ip.to_string()]);
    }

    fn free(&mut self) -> Option<Ipv4Addr> {
        for _ in 0..SIZE {
            let ip = Ipv4Addr::from(NETWORK + self.next);
            self.next = if self.next + 2 >= SIZE { 10 } else { self.next + 1 };
            if !self.addresses.contains_key(&ip) {
                return Some(ip);
            }
        }
        None
    }

    fn node_ports(&mut self, live: Option<&Value>, service: &mut Value, causes: &mut Vec<Cause>) {
        let owner = owner(service);
        let spec = &mut service["spec"];
        let wanted = spec["type"] == "NodePort"
            || spec["type"] == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != false;
        let keeps = matches!(text(spec, "type"), "NodePort" | "LoadBalancer");
        let had = live.map_or(&[] as &[Value], |l| items(&l["spec"]["ports"]));
        let count = items(&spec["ports"]).len();
        for i in 0..count {
            let port = spec["ports"][i].clone();
            let asked = port["nodePort"].as_u64().unwrap_or_default();
            let before = had.iter().find(|p| p["port"] == port["port"] && p["protocol"] == port["protocol"]);
            let before = before.and_then(|p| p["nodePort"].as_u64()).filter(|n| *n > 0);
            let protocol = text(&port, "protocol").to_owned();
            if !keeps {
                if before == Some(asked) {
                    crate::json::remove(&mut spec["ports"][i], "nodePort");
                }
                continue;
            }
            if asked > 0 {
                if !PORTS.contains(&asked) {
                    let why =
                        "provided port is not in the valid range. The range of valid ports is 30000-32767";
                    causes.push(Cause::invalid(format!("spec.ports[{i}].nodePort"), &asked.into(), why));
                } else if self.ports.get(&(asked, protocol)).is_some_and(|o| *o != owner) {
                    causes.push(Cause::invalid(
                        format!("spec.ports[{i}].nodePort"),
                        &asked.into(),
                        "provided port is already allocated",
                    ));
                }
                continue;
            }
            if let Some(number) = before.or_else(|| wanted.then(|| self.free_port(&protocol)).flatten()) {
                spec["ports"][i]["nodePort"] = number.into();
            }
        }
        let local = spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local";
        if local && spec["healthCheckNodePort"].as_u64().is_none_or(|n| n == 0) {
            let before = live.and_then(|l| l["spec"]["healthCheckNodePort"].as_u64());
            if let Some(number) = before.or_else(|| self.free_port("TCP")) {
                spec["healthCheckNodePort"] = number.into();
            }
        } else if !local
            && live.is_some_and(|l| l["spec"]["healthCheckNodePort"] == spec["healthCheckNodePort"])
        {
            crate::json::remove(spec, "healthCheckNodePort");
        }
    }

    fn free_port(&mut self, protocol: &str) -> Option<u64> {
        for _ in PORTS {
            let number = self.next_port;
            self.next_port = if number >= *PORTS.end() { *PORTS.start() } else { number + 1 };
            if !self.ports.contains_key(&(number, protocol.to_owned())) {
                return Some(number);
            }
        }
        None
    }
}

fn families(live: Option<&Value>, service: &mut Value) {
    let spec = &mut service["spec"];
    if spec["type"] == "ExternalName" {
        if live.is_some_and(|l| {
            l["spec"]["type"] != "ExternalName" && l["spec"]["clusterIP"] == spec["clusterIP"]
        }) {
            for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                crate::json::remove(spec, key);
            }
        }
        return;
    }
    if is_empty(&spec["ipFamilyPolicy"]) {
        spec["ipFamilyPolicy"] = "SingleStack".into();
    }
    if is_empty(&spec["ipFamilies"]) {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
}

/// Takes away what only the old type had, unless the client changed it.
pub(crate) fn forget(live: &Value, service: &mut Value) {
    let (was, is) = (text(&live["spec"], "type").to_owned(), text(&service["spec"], "type").to_owned());
    let outside = |t: &str| matches!(t, "NodePort" | "LoadBalancer");
    let mut lost: Vec<&str> = Vec::new();
    if outside(&was) && !outside(&is) {
        lost.push("externalTrafficPolicy");
    }
    if was == "LoadBalancer" && is != "LoadBalancer" {
        lost.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    for key in lost {
        if service["spec"][key] == live["spec"][key] {
            crate::json::remove(&mut service["spec"], key);
        }
    }
}
