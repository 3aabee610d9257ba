//! ClusterRoles whose rules are those of other, labelled ones.

use std::sync::Arc;

use serde_json::Value;

use crate::json::items;
use crate::selectors::LabelSelector;
use crate::server::Server;

const KEY: &str = "rbac.authorization.k8s.io/clusterroles";

/// Brings every aggregated role up to date; repeats while roles feed on each other.
pub(crate) fn refresh(server: &Arc<Server>) {
    for _ in 0..4 {
        let roles: Vec<(Arc<crate::store::Stored>, Value)> =
            server.store.list(KEY, None).objects.into_iter().map(|o| (o.clone(), o.value())).collect();
        let mut changed = false;
        for (stored, role) in roles.iter().filter(|(_, r)| r["aggregationRule"].is_object()) {
            let mut rules: Vec<Value> = Vec::new();
            for selector in items(&role["aggregationRule"]["clusterRoleSelectors"]) {
                let selector = LabelSelector::of(selector);
                for (other, value) in
                    roles.iter().filter(|(o, _)| o.name != stored.name && selector.matches(|k| o.label(k)))
                {
                    let _ = other;
                    for rule in items(&value["rules"]) {
                        if !rules.contains(rule) {
                            rules.push(rule.clone());
                        }
                    }
                }
            }
            if items(&role["rules"]) == rules.as_slice() {
                continue;
            }
            let mut new = role.clone();
            new["rules"] = rules.into();
            crate::schema::normalize_kind("rbac.authorization.k8s.io", "v1", "ClusterRole", &mut new);
            changed |= server.store.update(KEY, stored.version, new).is_ok();
        }
        if !changed {
            return;
        }
    }
}
