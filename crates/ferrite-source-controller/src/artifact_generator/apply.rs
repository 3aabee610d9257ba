//! An ExternalArtifact as the generator wants it. Server-side apply, so that fields of others stay.

use std::collections::BTreeMap;

use ferrite_api::{
    Artifact,
    source::{EXTENSIONS_GROUP, ExternalArtifact, GROUP},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Error, GENERATOR_LABEL, plan::Build};
use crate::context::{Context, api_message};

/// Who owns the fields.
pub(super) const MANAGER: &str = "source-watcher";

/// Applies the object and its status. What is so already costs two requests and changes nothing.
pub(super) async fn apply(
    context: &Context,
    build: &Build,
    name: &str,
    found_by: &BTreeMap<String, String>,
    artifact: &Artifact,
) -> Result<(), Error> {
    let api: Api<ExternalArtifact> = context.api(&build.namespace);
    let params = PatchParams::apply(MANAGER).force();
    let fail = |error: kube::Error| Error::Apply { name: name.to_owned(), problem: api_message(&error) };
    let wanted = Patch::Apply(object(build, name, found_by));
    let applied = api.patch(name, &params, &wanted).await.map_err(fail)?;
    let generation = applied.metadata.generation.unwrap_or(1);
    let before = applied.status.as_ref().and_then(|status| {
        status.conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")
    });
    let since = before.map_or_else(|| context.now(), |before| before.last_transition_time.clone());
    let status = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "ExternalArtifact",
        "metadata": {"name": name, "namespace": build.namespace},
        "status": {
            "artifact": artifact,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "Artifact is ready",
                "observedGeneration": generation, "lastTransitionTime": since,
            }],
        },
    });
    api.patch_status(name, &params, &Patch::Apply(status)).await.map_err(fail)?;
    Ok(())
}

fn object(build: &Build, name: &str, found_by: &BTreeMap<String, String>) -> Value {
    let common = build.spec.common_metadata.clone().unwrap_or_default();
    let mut labels: BTreeMap<String, String> = common.labels.into_iter().collect();
    labels.extend(found_by.clone());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), MANAGER.to_owned());
    labels.insert(GENERATOR_LABEL.to_owned(), build.uid.clone());
    let mut metadata = json!({"name": name, "namespace": build.namespace, "labels": labels});
    if !common.annotations.is_empty() {
        metadata["annotations"] = json!(common.annotations);
    }
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "ExternalArtifact",
        "metadata": metadata,
        "spec": {"sourceRef": {
            "apiVersion": format!("{EXTENSIONS_GROUP}/v1beta1"), "kind": "ArtifactGenerator",
            "name": build.name, "namespace": build.namespace,
        }},
    })
}
