//! What the tables of `get` show of each kind; pure.

use serde_json::Value;

use crate::kinds::{Kind, Rest, Shape};
use crate::objects::{condition, name, namespace, reference, suspended, text};
use crate::table::shorten;

/// Which columns are wanted beside those of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    /// The namespace, first.
    pub(crate) namespace: bool,
    /// Names as `kind/name`.
    pub(crate) kind: bool,
    /// What a Kustomization or HelmRelease is made from.
    pub(crate) source: bool,
}

/// The titles.
pub(crate) fn header(kind: &Kind, wanted: Wanted) -> Vec<&'static str> {
    let mut titles = Vec::new();
    if wanted.namespace {
        titles.push("Namespace");
    }
    titles.push("Name");
    if wanted.source && has_source(kind) {
        titles.push("Source");
    }
    titles.extend_from_slice(match kind.shape {
        Shape::Kustomization
        | Shape::HelmRelease
        | Shape::Source
        | Shape::HelmRepository
        | Shape::HelmChart => &["Revision", "Suspended", "Ready", "Message"],
        Shape::ExternalArtifact => &["Revision", "Source", "Ready", "Message"],
        Shape::ImageRepository => &["Last scan", "Suspended", "Ready", "Message"],
        Shape::ImagePolicy => &["Image", "Tag", "Ready", "Message"],
        Shape::ImageUpdate => &["Last run", "Suspended", "Ready", "Message"],
        Shape::Plain | Shape::Alert => &["Suspended", "Ready", "Message"],
        Shape::Provider => &["Ready", "Message"],
    });
    titles
}

fn has_source(kind: &Kind) -> bool {
    matches!(kind.shape, Shape::Kustomization | Shape::HelmRelease)
}

/// The cells of an object.
pub(crate) fn row(kind: &Kind, object: &Value, wanted: Wanted) -> Vec<String> {
    let mut cells = Vec::new();
    if wanted.namespace {
        cells.push(namespace(object).to_owned());
    }
    cells.push(if wanted.kind {
        format!("{}/{}", kind.kind.to_lowercase(), name(object))
    } else {
        name(object).to_owned()
    });
    if wanted.source && has_source(kind) {
        cells.push(source(kind, object));
    }
    let (ready, message) = ready(kind, object);
    let rests = if rests(kind, object) { "True" } else { "False" }.to_owned();
    let at = |pointer: &str| text(object, pointer).to_owned();
    match kind.shape {
        Shape::Kustomization => {
            cells.extend([
                shorten(text(object, "/status/lastAppliedRevision")),
                rests,
                ready,
                shorten(&message),
            ]);
        }
        Shape::HelmRelease => cells.extend([release_revision(object).to_owned(), rests, ready, message]),
        Shape::Source | Shape::HelmRepository => {
            cells.extend([
                shorten(text(object, "/status/artifact/revision")),
                rests,
                ready,
                shorten(&message),
            ]);
        }
        Shape::HelmChart => cells.extend([at("/status/artifact/revision"), rests, ready, shorten(&message)]),
        Shape::ExternalArtifact => {
            let source = reference(object, "/spec/sourceRef").map(|(kind, _, name)| {
                format!("{kind}/{}/{name}", text(object, "/spec/sourceRef/namespace"))
            });
            let revision = shorten(text(object, "/status/artifact/revision"));
            cells.extend([revision, source.unwrap_or_default(), ready, shorten(&message)]);
        }
        Shape::ImageRepository => {
            cells.extend([at("/status/lastScanResult/scanTime"), rests, ready, message])
        }
        Shape::ImagePolicy => {
            cells.extend([at("/status/latestRef/name"), at("/status/latestRef/tag"), ready, message]);
        }
        Shape::ImageUpdate => cells.extend([at("/status/lastAutomationRunTime"), rests, ready, message]),
        Shape::Plain | Shape::Alert => cells.extend([rests, ready, message]),
        Shape::Provider => cells.extend([ready, message]),
    }
    cells
}

/// The chart version a HelmRelease is at, or tried last.
pub(crate) fn release_revision(object: &Value) -> &str {
    match text(object, "/status/history/0/chartVersion") {
        "" => text(object, "/status/lastAttemptedRevision"),
        version => version,
    }
}

/// `Kind/namespace/name` of what an object is made from.
pub(crate) fn source(kind: &Kind, object: &Value) -> String {
    let pointers: &[&str] = match kind.shape {
        Shape::HelmRelease => &["/spec/chartRef", "/spec/chart/spec/sourceRef"],
        _ => &["/spec/sourceRef"],
    };
    let found = pointers.iter().find_map(|pointer| reference(object, pointer));
    found.map(|(kind, namespace, name)| format!("{kind}/{namespace}/{name}")).unwrap_or_default()
}

/// Whether somebody put the object to rest.
pub(crate) fn rests(kind: &Kind, object: &Value) -> bool {
    match kind.rest {
        Rest::Suspend => suspended(object),
        Rest::Annotation => object
            .pointer("/metadata/annotations")
            .and_then(|all| all.get("source.extensions.fluxcd.io/reconcile"))
            .and_then(Value::as_str)
            .is_some_and(|value| value.eq_ignore_ascii_case("disabled")),
        Rest::Never => false,
    }
}

/// The status and the message of the condition Ready, as the tables show them.
pub(crate) fn ready(kind: &Kind, object: &Value) -> (String, String) {
    let fixed = match kind.shape {
        Shape::Alert => Some("Alert is Ready"),
        Shape::Provider => Some("Provider is Ready"),
        Shape::HelmRepository if text(object, "/spec/type") == "oci" => Some("Helm repository is Ready"),
        _ => None,
    };
    if let Some(message) = fixed {
        return ("True".to_owned(), message.to_owned());
    }
    match condition(object, "Ready") {
        Some(ready) => (text(ready, "/status").to_owned(), text(ready, "/message").to_owned()),
        None => ("False".to_owned(), "waiting to be reconciled".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{
        ALERT, EXTERNAL_ARTIFACT, HELM_RELEASE, HELM_REPOSITORY, IMAGE_POLICY, KUSTOMIZATION,
    };
    use serde_json::json;

    #[track_caller]
    fn check(kind: &Kind, object: &Value, wanted: Wanted, expect: &[&str]) {
        assert_eq!(row(kind, object, wanted), expect);
        assert_eq!(header(kind, wanted).len(), expect.len());
    }

    fn object(mut rest: Value) -> Value {
        rest["metadata"] = json!({"name": "app", "namespace": "prod"});
        rest
    }

    #[test]
    fn each_kind_has_its_cells() {
        let none = Wanted::default();
        let revision = "main@sha1:67e2c98a60dc92283531412a9e604dd4bae005a9";
        let message = format!("Applied revision: {revision}");
        let applied = object(json!({
            "spec": {"suspend": true, "sourceRef": {"kind": "GitRepository", "name": "repo"}},
            "status": {
                "lastAppliedRevision": revision,
                "conditions": [{"type": "Ready", "status": "True", "message": message}],
            },
        }));
        let short = "main@sha1:67e2c98a";
        check(
            &KUSTOMIZATION,
            &applied,
            none,
            &["app", short, "True", "True", &format!("Applied revision: {short}")],
        );
        let all = Wanted { namespace: true, kind: true, source: true };
        let source = "GitRepository/prod/repo";
        check(
            &KUSTOMIZATION,
            &applied,
            all,
            &[
                "prod",
                "kustomization/app",
                source,
                short,
                "True",
                "True",
                &format!("Applied revision: {short}"),
            ],
        );
        let fresh = object(json!({}));
        check(&HELM_RELEASE, &fresh, none, &["app", "", "False", "False", "waiting to be reconciled"]);
        check(&ALERT, &fresh, none, &["app", "False", "True", "Alert is Ready"]);
        let oci = object(json!({"spec": {"type": "oci"}}));
        check(&HELM_REPOSITORY, &oci, none, &["app", "", "False", "True", "Helm repository is Ready"]);
        let policy = object(json!({"status": {"latestRef": {"name": "ghcr.io/app", "tag": "1.2.3"}}}));
        check(
            &IMAGE_POLICY,
            &policy,
            none,
            &["app", "ghcr.io/app", "1.2.3", "False", "waiting to be reconciled"],
        );
        check(&EXTERNAL_ARTIFACT, &fresh, none, &["app", "", "", "False", "waiting to be reconciled"]);
    }

    #[test]
    fn a_release_shows_what_it_runs_before_what_it_tried() {
        let tried = object(json!({"status": {"lastAttemptedRevision": "2.0.0"}}));
        assert_eq!(release_revision(&tried), "2.0.0");
        let runs = object(
            json!({"status": {"lastAttemptedRevision": "2.0.0", "history": [{"chartVersion": "1.0.0"}]}}),
        );
        assert_eq!(release_revision(&runs), "1.0.0");
    }
}
