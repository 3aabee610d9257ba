//! The roles and bindings that every cluster starts with.

use serde_json::{Value, json};

/// Rules as text: `verbs | groups | resources`, or `verbs | path ...` with a leading slash.
const CLUSTER_ROLES: &[(&str, Option<&str>, &[&str])] = &[
    ("cluster-admin", None, &["*|*|*", "*|/*"]),
    (
        "system:discovery",
        None,
        &["get|/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"],
    ),
    ("system:public-info-viewer", None, &["get|/healthz /livez /readyz /version /version/"]),
    (
        "system:monitoring",
        None,
        &["get|/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"],
    ),
    (
        "system:basic-user",
        None,
        &[
            "create|authorization.k8s.io|selfsubjectaccessreviews selfsubjectrulesreviews",
            "create|authentication.k8s.io|selfsubjectreviews",
        ],
    ),
    (
        "system:service-account-issuer-discovery",
        None,
        &[
            "get|/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        ],
    ),
    (
        "system:auth-delegator",
        None,
        &["create|authentication.k8s.io|tokenreviews", "create|authorization.k8s.io|subjectaccessreviews"],
    ),
    (
        "system:aggregate-to-admin",
        Some("admin"),
        &[
            "create|authorization.k8s.io|localsubjectaccessreviews",
            "create delete deletecollection get list patch update watch|rbac.authorization.k8s.io|rolebindings roles",
        ],
    ),
    (
        "system:aggregate-to-edit",
        Some("edit"),
        &[
            "get list watch|.|pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy",
            "impersonate|.|serviceaccounts",
            "create delete deletecollection patch update|.|pods pods/attach pods/exec pods/portforward pods/proxy",
            "create|.|pods/eviction",
            "create delete deletecollection patch update|.|configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy",
            "create|.|serviceaccounts/token",
            "create delete deletecollection patch update|apps|daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale",
            "create delete deletecollection patch update|autoscaling|horizontalpodautoscalers",
            "create delete deletecollection patch update|batch|cronjobs jobs",
            "create delete deletecollection patch update|extensions|daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale",
            "create delete deletecollection patch update|policy|poddisruptionbudgets",
            "create delete deletecollection patch update|networking.k8s.io|ingresses networkpolicies",
            "create delete deletecollection get list patch update watch|coordination.k8s.io|leases",
        ],
    ),
    (
        "system:aggregate-to-view",
        Some("view"),
        &[
            "get list watch|.|configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
            "get list watch|.|bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status",
            "get list watch|.|namespaces",
            "get list watch|discovery.k8s.io|endpointslices",
            "get list watch|apps|controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
            "get list watch|autoscaling|horizontalpodautoscalers horizontalpodautoscalers/status",
            "get list watch|batch|cronjobs cronjobs/status jobs jobs/status",
            "get list watch|extensions|daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale",
            "get list watch|policy|poddisruptionbudgets poddisruptionbudgets/status",
            "get list watch|networking.k8s.io|ingresses ingresses/status networkpolicies",
        ],
    ),
];

/// Binding name, role, subjects as (kind, name).
const BINDINGS: &[(&str, &[&str])] = &[
    ("cluster-admin", &["system:masters"]),
    ("system:discovery", &["system:authenticated"]),
    ("system:basic-user", &["system:authenticated"]),
    ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ("system:monitoring", &["system:monitoring"]),
    ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
];

/// Aggregated roles and the label values that feed them.
const AGGREGATED: &[(&str, &[&str], Option<&str>)] =
    &[("admin", &["admin"], None), ("edit", &["edit"], Some("admin")), ("view", &["view"], Some("edit"))];

fn metadata(name: &str) -> Value {
    json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}})
}

fn rule(text: &str) -> Value {
    let mut parts = text.split('|');
    let list = |s: Option<&str>| -> Value {
        s.unwrap_or_default().split_whitespace().map(|w| if w == "." { "" } else { w }).collect()
    };
    let verbs = list(parts.next());
    match (parts.next(), parts.next()) {
        (Some(urls), None) => json!({"verbs": verbs, "nonResourceURLs": list(Some(urls))}),
        (groups, resources) => {
            json!({"verbs": verbs, "apiGroups": list(groups), "resources": list(resources)})
        }
    }
}

/// `(resource, object)` of everything to create on a first start.
pub(crate) fn objects() -> Vec<(&'static str, Value)> {
    let mut objects = Vec::new();
    for (name, aggregates_to, rules) in CLUSTER_ROLES {
        let mut metadata = metadata(name);
        if let Some(target) = aggregates_to {
            metadata["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{target}")] = "true".into();
        }
        let rules: Vec<Value> = rules.iter().map(|r| rule(r)).collect();
        objects.push(("clusterroles", json!({"metadata": metadata, "rules": rules})));
    }
    for (name, selects, feeds) in AGGREGATED {
        let mut metadata = metadata(name);
        if let Some(target) = feeds {
            metadata["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{target}")] = "true".into();
        }
        let selectors: Vec<Value> = selects
            .iter()
            .map(|s| json!({"matchLabels": {format!("rbac.authorization.k8s.io/aggregate-to-{s}"): "true"}}))
            .collect();
        objects.push(("clusterroles", json!({"metadata": metadata, "aggregationRule": {"clusterRoleSelectors": selectors}, "rules": null})));
    }
    for (name, groups) in BINDINGS {
        let subjects: Vec<Value> =
            groups.iter().map(|g| json!({"kind": "Group", "apiGroup": super::GROUP, "name": g})).collect();
        let role = json!({"apiGroup": super::GROUP, "kind": "ClusterRole", "name": name});
        objects.push((
            "clusterrolebindings",
            json!({"metadata": metadata(name), "subjects": subjects, "roleRef": role}),
        ));
    }
    objects
}
