//! Nobody grants what they do not have.

use serde_json::Value;

use super::{Ask, GROUP, Rule, parse_rules, rules_of};
use crate::handlers::perform::Writer;
use crate::json::text;
use crate::status::ApiError;

/// Refuses roles and bindings that give away more than their writer may do.
pub(crate) fn check(writer: &Writer<'_>, object: &Value) -> Result<(), ApiError> {
    if writer.resource.group != GROUP || writer.call.is_none() || writer.user.is_master() {
        return Ok(());
    }
    let name = text(&object["metadata"], "name");
    let namespace = Some(writer.namespace).filter(|n| !n.is_empty());
    let ask = |verb: &str, resource: &str, name: &str| {
        let ask = Ask { verb, group: GROUP, resource, sub: None, namespace, name: Some(name), path: None };
        writer.server.rbac.allows(&writer.server.store, writer.user, &ask)
    };
    let rules = match writer.resource.plural.as_str() {
        "roles" | "clusterroles" => {
            if ask("escalate", &writer.resource.plural, name) {
                return Ok(());
            }
            parse_rules(object)
        }
        _ => {
            let role = &object["roleRef"];
            let resource = if role["kind"] == "ClusterRole" { "clusterroles" } else { "roles" };
            if ask("bind", resource, text(role, "name")) {
                return Ok(());
            }
            rules_of(&writer.server.store, writer.namespace, role).unwrap_or_default()
        }
    };
    let missing: Vec<Rule> =
        rules.iter().flat_map(singles).filter(|single| !has(writer, namespace, single)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = missing.iter().map(describe).collect();
    let groups: Vec<String> = writer.user.groups.iter().map(|g| format!("{g:?}")).collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        writer.user.name,
        groups.join(" "),
        lines.join("\n")
    );
    Err(ApiError::forbidden(writer.resource.subject(name), &why))
}

/// A rule taken apart into rules of one verb, group and resource.
fn singles(rule: &Rule) -> Vec<Rule> {
    let mut out = Vec::new();
    for verb in &rule.verbs {
        for url in &rule.urls {
            out.push(Rule { verbs: vec![verb.clone()], urls: vec![url.clone()], ..Rule::default() });
        }
        for group in &rule.groups {
            for resource in &rule.resources {
                let one = |name: Vec<String>| Rule {
                    verbs: vec![verb.clone()],
                    groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    names: name,
                    urls: Vec::new(),
                };
                if rule.names.is_empty() {
                    out.push(one(Vec::new()));
                }
                out.extend(rule.names.iter().map(|n| one(vec![n.clone()])));
            }
        }
    }
    out
}

fn has(writer: &Writer<'_>, namespace: Option<&str>, single: &Rule) -> bool {
    let first = |list: &[String]| list.first().cloned().unwrap_or_default();
    let (verb, group, full) = (first(&single.verbs), first(&single.groups), first(&single.resources));
    let (resource, sub) = full.split_once('/').map_or((full.as_str(), None), |(r, s)| (r, Some(s)));
    let (name, url) = (first(&single.names), first(&single.urls));
    let ask = Ask {
        verb: &verb,
        group: &group,
        resource,
        sub,
        namespace,
        name: Some(name.as_str()).filter(|n| !n.is_empty()),
        path: Some(url.as_str()).filter(|u| !u.is_empty()),
    };
    writer.server.rbac.allows(&writer.server.store, writer.user, &ask)
}

fn describe(rule: &Rule) -> String {
    let list = |items: &[String]| items.iter().map(|i| format!("{i:?}")).collect::<Vec<_>>().join(" ");
    if !rule.urls.is_empty() {
        return format!("{{NonResourceURLs:[{}], Verbs:[{}]}}", list(&rule.urls), list(&rule.verbs));
    }
    let names = if rule.names.is_empty() {
        String::new()
    } else {
        format!(", ResourceNames:[{}]", list(&rule.names))
    };
    format!(
        "{{APIGroups:[{}], Resources:[{}]{names}, Verbs:[{}]}}",
        list(&rule.groups),
        list(&rule.resources),
        list(&rule.verbs)
    )
}
