//! What is told of a reconcile.

use ferrite_artifact::Health;
use ferrite_runtime::{Reconcile as _, Requeue};
use serde_json::{Value, json};

use super::*;
use crate::world::condition;

fn generator(patch: &Value) -> ArtifactGenerator {
    let copy = json!([{"from": "@git/apps/**", "to": "@artifact/"}]);
    let mut object = json!({
        "apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator",
        "metadata": {"name": "split", "namespace": "apps", "generation": 1, "uid": "1-2"},
        "spec": {
            "sources": [{"alias": "git", "kind": "GitRepository", "name": "repo"}],
            "artifacts": [{"name": "web", "copy": copy}],
        },
    });
    crate::world::merge(&mut object["spec"], patch);
    serde_json::from_value(object).unwrap()
}

#[track_caller]
fn refused(patch: &Value, expect: &str) {
    let error = validate::validate(&generator(patch), true).unwrap_err();
    let report =
        Generators::report(&generator(patch), &Done::default(), Some(&error), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(condition(&report.status.conditions, "Ready"), format!("False {expect}"));
    assert_eq!(condition(&report.status.conditions, "Stalled"), format!("True {expect}"));
    assert_eq!((report.requeue, report.events.len()), (Requeue::Never, 1));
}

#[test]
fn a_spec_that_contradicts_itself_stalls() {
    assert!(validate::validate(&generator(&json!({})), true).is_ok());
    let copy = json!([{"from": "@git/a", "to": "@artifact/"}]);
    let source = json!({"alias": "git", "kind": "GitRepository", "name": "repo"});
    refused(&json!({"sources": [source, source]}), "ValidationFailed duplicate source alias 'git' found");
    let one = json!({"name": "a", "copy": copy});
    refused(&json!({"artifacts": [one, one]}), "ValidationFailed duplicate artifact name 'a' found");
    refused(
        &json!({"artifacts": [{"name": "A", "copy": copy}]}),
        "ValidationFailed artifact name 'A' cannot be the name of an object",
    );
    refused(
        &json!({"artifacts": [{"name": "a", "revision": "@oci", "copy": copy}]}),
        "ValidationFailed artifact 'a' has the revision of source alias 'oci', which is not found",
    );
    refused(
        &json!({"sources": [{"alias": "git", "kind": "GitRepository", "name": "repo", "namespace": "other"}]}),
        "AccessDenied cross-namespace reference to source GitRepository/other/repo is not allowed",
    );
}

fn observed(generator: &ArtifactGenerator) -> Observed {
    let artifact: Artifact = serde_json::from_value(json!({
        "path": "p", "url": "http://x/p", "revision": "main@sha1:abc", "digest": "sha256:d",
        "lastUpdateTime": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    let source = Source { alias: "git".to_owned(), directory: None, artifact: artifact.clone() };
    let existing = generator.status.iter().flat_map(|status| &status.inventory).map(|one| {
        let mut artifact = artifact.clone();
        artifact.digest.clone_from(&one.digest);
        let status = json!({"artifact": artifact});
        let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "ExternalArtifact",
            "metadata": {"name": one.name}, "spec": {}, "status": status});
        (one.name.clone(), serde_json::from_value(object).unwrap())
    });
    Observed {
        disabled: false,
        sources: Ok(vec![source]),
        existing: existing.collect(),
        stored: Health::Good,
    }
}

use ferrite_api::Artifact;

fn drift(generator: &ArtifactGenerator, observed: &Observed) -> &'static str {
    match plan::plan(generator, observed).next {
        Next::Build(build) => build.drift,
        Next::Keep => "none",
        Next::Rest => "rest",
        Next::Fail(_) => "failure",
    }
}

#[test]
fn every_difference_to_what_was_made_is_found() {
    let mut made = generator(&json!({}));
    assert_eq!(drift(&made, &observed(&made)), "NotReady");
    let digest = observe::sources_digest(observed(&made).sources.as_ref().unwrap());
    let lines = "git=[digest=sha256:d,revision=main@sha1:abc,url=http://x/p]";
    assert_eq!(
        digest,
        ferrite_artifact::Digest::of(ferrite_artifact::Algorithm::Sha256, lines.as_bytes()).to_string()
    );
    let done = Done {
        outcome: Outcome::Built { sources_digest: digest },
        inventory: vec![GeneratedArtifact {
            name: "web".to_owned(),
            namespace: "apps".to_owned(),
            digest: "sha256:e".to_owned(),
            filename: "1.tar.gz".to_owned(),
        }],
        changed: vec!["apps/web (sha256:e)".to_owned()],
    };
    let report = Generators::report(&made, &done, None, jiff::Timestamp::UNIX_EPOCH);
    let ready = "True Succeeded reconciliation succeeded, generated 1 artifact(s)";
    assert_eq!(condition(&report.status.conditions, "Ready"), ready);
    assert_eq!(report.events[0].message, "external artifacts reconciled:\napps/web (sha256:e)");
    assert_eq!(report.requeue, Requeue::After(Duration::from_hours(1)));
    made.status = Some(report.status);
    assert_eq!(drift(&made, &observed(&made)), "none");
    let kept = Done { outcome: Outcome::UpToDate, ..Done::default() };
    let report = Generators::report(&made, &kept, None, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!((Some(&report.status), report.events.len()), (made.status.as_ref(), 0));

    let mut other = made.clone();
    other.metadata.generation = Some(2);
    assert_eq!(drift(&other, &observed(&made)), "GenerationChanged");
    let mut changed = observed(&made);
    changed.sources.as_mut().unwrap()[0].artifact.revision = "main@sha1:def".to_owned();
    assert_eq!(drift(&made, &changed), "SourcesChanged");
    let lost = Observed { stored: Health::Missing, ..observed(&made) };
    assert_eq!(drift(&made, &lost), "ArtifactMissing");
    let gone = Observed { existing: Default::default(), ..observed(&made) };
    assert_eq!(drift(&made, &gone), "ExternalArtifactsNotFound");
    let mut foreign = observed(&made);
    foreign.existing.get_mut("web").unwrap().status = None;
    assert_eq!(drift(&made, &foreign), "ExternalArtifactsChanged");
}
