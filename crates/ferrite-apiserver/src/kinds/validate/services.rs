//! Services.

use serde_json::{Value, json};

use super::{ip, names, port_number, problems, unsupported};
use crate::json::{is_empty, items, text};
use crate::status::Cause;

pub(super) fn service(sub: Option<&str>, live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    if sub == Some("status") {
        for (i, ingress) in items(&o["status"]["loadBalancer"]["ingress"]).iter().enumerate() {
            if !text(ingress, "ip").is_empty() {
                ip(&format!("status.loadBalancer.ingress[{i}].ip"), &ingress["ip"], out);
            }
        }
        return;
    }
    let spec = &o["spec"];
    let kind = text(spec, "type");
    unsupported("spec.type", &spec["type"], &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], out);
    unsupported("spec.sessionAffinity", &spec["sessionAffinity"], &["ClientIP", "None"], out);
    let headless = text(spec, "clusterIP") == "None";
    if items(&spec["ports"]).is_empty() && !headless && kind != "ExternalName" {
        out.push(Cause::required("spec.ports", ""));
    }
    ports(spec, headless, out);
    for (key, value) in spec["selector"].as_object().into_iter().flatten() {
        problems("spec.selector", key, &names::qualified_name(key), out);
        let value = value.as_str().unwrap_or_default();
        problems("spec.selector", value, &names::label_value(value), out);
    }
    addresses(spec, out);
    if kind == "ExternalName" {
        let name = text(spec, "externalName");
        if name.is_empty() {
            out.push(Cause::required("spec.externalName", ""));
        } else {
            problems("spec.externalName", name, &names::subdomain(name.trim_end_matches('.')), out);
        }
    }
    traffic(kind, spec, out);
    if let Some(live) = live {
        update(live, o, out);
    }
}

fn addresses(spec: &Value, out: &mut Vec<Cause>) {
    for (i, address) in items(&spec["clusterIPs"]).iter().enumerate() {
        if address != "None" {
            ip(&format!("spec.clusterIPs[{i}]"), address, out);
        }
    }
    if is_empty(&spec["clusterIPs"]) && !matches!(text(spec, "clusterIP"), "" | "None") {
        ip("spec.clusterIPs[0]", &spec["clusterIP"], out);
    }
    for (i, address) in items(&spec["externalIPs"]).iter().enumerate() {
        ip(&format!("spec.externalIPs[{i}]"), address, out);
    }
    for (i, family) in items(&spec["ipFamilies"]).iter().enumerate() {
        unsupported(&format!("spec.ipFamilies[{i}]"), family, &["IPv4", "IPv6"], out);
    }
    match text(spec, "ipFamilyPolicy") {
        "RequireDualStack" => {
            let why = "this cluster is not configured for dual-stack services";
            out.push(Cause::invalid("spec.ipFamilyPolicy", &spec["ipFamilyPolicy"], why));
        }
        "" | "SingleStack" | "PreferDualStack" => {}
        _ => out.push(Cause::unsupported(
            "spec.ipFamilyPolicy",
            &spec["ipFamilyPolicy"],
            &["SingleStack", "PreferDualStack", "RequireDualStack"],
        )),
    }
}

fn traffic(kind: &str, spec: &Value, out: &mut Vec<Cause>) {
    let external = &spec["externalTrafficPolicy"];
    if !external.is_null() {
        let outside = matches!(kind, "NodePort" | "LoadBalancer")
            || kind == "ClusterIP" && !is_empty(&spec["externalIPs"]);
        if !outside {
            out.push(Cause::invalid(
                "spec.externalTrafficPolicy",
                external,
                "may only be set for externally-accessible services",
            ));
        } else {
            unsupported("spec.externalTrafficPolicy", external, &["Cluster", "Local"], out);
        }
    }
    if !spec["internalTrafficPolicy"].is_null() {
        unsupported("spec.internalTrafficPolicy", &spec["internalTrafficPolicy"], &["Cluster", "Local"], out);
    }
    if !spec["trafficDistribution"].is_null() {
        let allowed = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        unsupported("spec.trafficDistribution", &spec["trafficDistribution"], &allowed, out);
    }
    if kind != "LoadBalancer" {
        for key in ["loadBalancerClass", "allocateLoadBalancerNodePorts"] {
            if !spec[key].is_null() {
                out.push(Cause::forbidden(
                    format!("spec.{key}"),
                    "may only be used when `type` is 'LoadBalancer'",
                ));
            }
        }
    }
}

fn ports(spec: &Value, headless: bool, out: &mut Vec<Cause>) {
    let list = items(&spec["ports"]);
    let (mut seen_names, mut seen) = (Vec::new(), Vec::new());
    for (i, port) in list.iter().enumerate() {
        let at = format!("spec.ports[{i}]");
        let name = text(port, "name");
        if name.is_empty() {
            if list.len() > 1 {
                out.push(Cause::required(format!("{at}.name"), ""));
            }
        } else {
            problems(&format!("{at}.name"), name, &names::label(name), out);
            if seen_names.contains(&name) {
                out.push(Cause::duplicate(format!("{at}.name"), &name.into()));
            }
            seen_names.push(name);
        }
        port_number(&format!("{at}.port"), &port["port"], out);
        unsupported(&format!("{at}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"], out);
        let target = &port["targetPort"];
        match target.as_str() {
            Some(name) => problems(&format!("{at}.targetPort"), name, &names::port_name(name), out),
            None => port_number(&format!("{at}.targetPort"), target, out),
        }
        let key = (text(port, "protocol"), port["port"].as_i64());
        if seen.contains(&key) && !headless {
            let shown = json!({"Name": "", "Protocol": key.0, "AppProtocol": port["appProtocol"], "Port": key.1,
                "TargetPort": 0, "NodePort": 0});
            out.push(Cause::duplicate(at, &shown));
        }
        seen.push(key);
    }
}

fn update(live: &Value, o: &Value, out: &mut Vec<Cause>) {
    let (old, new) = (&live["spec"], &o["spec"]);
    let kept = |kind: &str| matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer");
    let had = text(old, "clusterIP");
    if kept(text(old, "type")) && kept(text(new, "type")) && !had.is_empty() {
        let (before, after) = (items(&old["clusterIPs"]).first(), items(&new["clusterIPs"]).first());
        if !text(new, "clusterIP").is_empty() && had != text(new, "clusterIP") {
            let why = if after == before { "must match `clusterIP`" } else { "may not change once set" };
            out.push(Cause::invalid(
                "spec.clusterIPs[0]",
                after.or(Some(&new["clusterIP"])).unwrap_or(&Value::Null),
                why,
            ));
        }
    }
    let class = &old["loadBalancerClass"];
    if !class.is_null()
        && text(old, "type") == "LoadBalancer"
        && text(new, "type") == "LoadBalancer"
        && *class != new["loadBalancerClass"]
    {
        out.push(Cause::invalid(
            "spec.loadBalancerClass",
            &new["loadBalancerClass"],
            "may not change once set",
        ));
    }
}
