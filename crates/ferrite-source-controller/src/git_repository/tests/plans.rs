//! Decisions, without any I/O.

use ferrite_api::source::GitRepository;
use ferrite_artifact::Health;
use ferrite_git::{Client, Head, ObjectId, Remote};
use serde_json::{Value, json};

use crate::git_repository::{Observed, plan};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// `spec` and `status` are those of the object; `remote` is the commit of branch main.
#[track_caller]
fn check(spec: &Value, status: &Value, stored: Option<Health>, remote: &str, expect: &str) {
    let mut object = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"url": "https://host/app", "interval": "1m"}, "status": status,
    });
    for (key, value) in spec.as_object().cloned().unwrap_or_default() {
        object["spec"][key] = value;
    }
    let object: GitRepository = serde_json::from_value(object).unwrap();
    let client = Client::new(Remote::parse("https://host/app").unwrap()).unwrap();
    let head = Head {
        name: Some("main".to_owned()),
        reference: None,
        commit: ObjectId::from_hex(remote.as_bytes()).unwrap(),
        tag: None,
    };
    let source = Ok((client, head));
    let observed = Observed { stored, url_of: "http://s/".to_owned(), source, included: Ok(Vec::new()) };
    assert_eq!(plan::plan(&object, &observed).to_string(), expect);
}

fn status(revision: &str, rest: &Value) -> Value {
    let mut status = json!({"artifact": {
        "path": format!("gitrepository/default/app/{A}.tar.gz"), "url": "http://old/x", "digest": "sha256:1",
        "revision": revision, "lastUpdateTime": "2026-01-01T00:00:00Z",
    }});
    for (key, value) in rest.as_object().cloned().unwrap_or_default() {
        status[key] = value;
    }
    status
}

#[test]
fn an_artifact_of_the_same_revision_and_rules_is_kept() {
    let kept = format!("keep main@sha1:{A} at http://s/gitrepository/default/app/{A}.tar.gz");
    check(&json!({}), &status(&format!("main@sha1:{A}"), &json!({})), Some(Health::Good), A, &kept);
    let observed = json!({"observedIgnore": "*.md", "observedSparseCheckout": ["a"]});
    let spec = json!({"ignore": "*.md", "sparseCheckout": ["a"]});
    check(&spec, &status(&format!("main@sha1:{A}"), &observed), Some(Health::Good), A, &kept);
}

/// Revisions written before Flux 2.0 are not fetched again for their notation.
#[test]
fn an_old_notation_of_the_same_revision_is_kept() {
    let kept = format!("keep main/{A} at http://s/gitrepository/default/app/{A}.tar.gz");
    check(&json!({}), &status(&format!("main/{A}"), &json!({})), Some(Health::Good), A, &kept);
}

#[test]
fn anything_else_is_built() {
    let into = |why: &str, commit: &str| {
        format!("build main@sha1:{commit} ({why}) into gitrepository/default/app/{commit}.tar.gz")
    };
    let good = Some(Health::Good);
    let same = || status(&format!("main@sha1:{A}"), &json!({}));
    check(&json!({}), &json!({}), None, A, &into("NoArtifact", A));
    check(&json!({}), &same(), Some(Health::Missing), A, &into("NoArtifact", A));
    check(&json!({}), &same(), Some(Health::Corrupt), A, &into("NoArtifact", A));
    check(&json!({}), &same(), good, B, &into("NewRevision", B));
    check(&json!({}), &status(&format!("other@sha1:{A}"), &json!({})), good, A, &into("NewRevision", A));
    let ignoring = format!("{}, ignoring \"*.md\"", into("Configuration", A));
    check(&json!({"ignore": "*.md"}), &same(), good, A, &ignoring);
    let only = format!("{}, only a b", into("Configuration", A));
    check(&json!({"sparseCheckout": ["a", "b"]}), &same(), good, A, &only);
    check(&json!({"recurseSubmodules": true}), &same(), good, A, &into("Configuration", A));
    let included = json!({"includedArtifacts": [same()["artifact"]]});
    check(&json!({}), &status(&format!("main@sha1:{A}"), &included), good, A, &into("IncludeChange", A));
}
