//! `ferrite reconcile`: asks for a reconcile now, and waits for what comes of it.

use anyhow::{Result, anyhow, bail};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::columns::{ready, release_revision};
use crate::kinds::{
    ARTIFACT_GENERATOR, EXTERNAL_ARTIFACT, HELM_CHART, HELM_RELEASE, HELM_REPOSITORY, Kind, Shape, find,
};
use crate::objects::{self, condition, reference, suspended, text};
use crate::of_kind::{OfKind, Verb};
use crate::readiness::{self, NotReady, handled};
use crate::say;
use crate::session::Session;

const REQUESTED: &str = "reconcile.fluxcd.io/requestedAt";
const FORCED: &str = "reconcile.fluxcd.io/forceAt";
const RESET: &str = "reconcile.fluxcd.io/resetAt";

/// Options of `ferrite reconcile`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Name of the object.
    pub(crate) name: String,
    /// Reconcile what it is made from first (Kustomizations, HelmReleases, HelmCharts).
    #[arg(long)]
    pub(crate) with_source: bool,
    /// Install or upgrade once, whatever is there (HelmReleases).
    #[arg(long)]
    pub(crate) force: bool,
    /// Forget the failures so far (HelmReleases).
    #[arg(long)]
    pub(crate) reset: bool,
}

impl Verb for Options {
    const DOES: &'static str = "Reconcile";

    fn takes(kind: &Kind) -> bool {
        kind.reconciles
    }
}

/// Asks and waits.
///
/// # Errors
///
/// [`NotReady`] when the reconcile failed or takes too long; when the object is suspended or not there.
pub(crate) async fn run(session: &Session, verb: &OfKind<Options>) -> Result<()> {
    let [kind] = verb.kinds.as_slice() else { bail!("name one kind") };
    let options = &verb.options;
    let sourced = matches!(kind.kind, "Kustomization" | "HelmRelease" | "HelmChart");
    if options.with_source && !sourced {
        bail!(
            "--with-source is for Kustomizations, HelmReleases and HelmCharts: a {} has no source",
            kind.kind
        );
    }
    if (options.force || options.reset) && kind.kind != HELM_RELEASE.kind {
        bail!("--force and --reset are for HelmReleases");
    }
    one(session, kind, options).await
}

/// Reconciles an object, and with it what it is made from when the options say so.
fn one<'a>(session: &'a Session, kind: &'static Kind, options: &'a Options) -> BoxFuture<'a, Result<()>> {
    async move {
        let (namespace, name) = (session.namespace.as_str(), options.name.as_str());
        let object = objects::get(session, kind, namespace, name).await?;
        if kind.kind == HELM_REPOSITORY.kind && text(&object, "/spec/type") == "oci" {
            say::success("reconciliation not supported by the object");
            return Ok(());
        }
        if suspended(&object) {
            bail!("resource is suspended");
        }
        if options.with_source {
            with_source(session, kind, &object).await?;
        }
        say::action(format!("annotating {} {name} in {namespace} namespace", kind.kind));
        let before = text(&object, "/status/lastHandledReconcileAt").to_owned();
        objects::merge(session, kind, namespace, name, &request(options)).await?;
        say::success(format!("{} annotated", kind.kind));
        let waiting = say::waiting(format!("waiting for {} reconciliation", kind.kind));
        let object =
            readiness::wait(session, kind, (namespace, name), waiting, |object| handled(object, &before))
                .await?;
        match condition(&object, "Ready") {
            None => bail!("status can't be determined"),
            Some(ready) if text(ready, "/status") != "True" => {
                let message = text(ready, "/message");
                Err(NotReady(format!("{} reconciliation failed: '{message}'", kind.kind)).into())
            }
            Some(_) => {
                say::success(outcome(kind, &object));
                Ok(())
            }
        }
    }
    .boxed()
}

fn request(options: &Options) -> Value {
    let now = jiff::Timestamp::now().to_string();
    let mut annotations = json!({REQUESTED: now});
    if options.force {
        annotations[FORCED] = now.clone().into();
    }
    if options.reset {
        annotations[RESET] = now.into();
    }
    json!({"metadata": {"annotations": annotations}})
}

async fn with_source(session: &Session, kind: &'static Kind, object: &Value) -> Result<()> {
    let (source, namespace, name) = source_of(kind, object)
        .ok_or_else(|| anyhow!("{} {} names no source", kind.kind, objects::name(object)))?;
    let Some(source) = find(&source).filter(|kind| can_be_asked(kind)) else {
        bail!("cannot reconcile source of kind {source}");
    };
    let options = Options { name, with_source: source.kind == HELM_CHART.kind, ..Options::default() };
    one(&session.within(&namespace), source, &options).await
}

fn can_be_asked(kind: &Kind) -> bool {
    kind.reconciles && kind.kind != EXTERNAL_ARTIFACT.kind && kind.kind != ARTIFACT_GENERATOR.kind
}

/// The source to reconcile first: kind, namespace and name.
fn source_of(kind: &Kind, object: &Value) -> Option<(String, String, String)> {
    if kind.kind != HELM_RELEASE.kind {
        return reference(object, "/spec/sourceRef");
    }
    if let Some(chart) = reference(object, "/spec/chartRef") {
        return Some(chart);
    }
    // The HelmChart that was made for it, beside its source.
    let (_, namespace, _) = reference(object, "/spec/chart/spec/sourceRef")?;
    let name = format!("{}-{}", objects::namespace(object), objects::name(object));
    Some((HELM_CHART.kind.to_owned(), namespace, name))
}

/// What a reconcile came to, in a few words.
pub(crate) fn outcome(kind: &Kind, object: &Value) -> String {
    match kind.shape {
        Shape::Kustomization => format!("applied revision {}", text(object, "/status/lastAppliedRevision")),
        Shape::HelmRelease => format!("applied revision {}", release_revision(object)),
        Shape::HelmRepository if text(object, "/spec/type") == "oci" => ready(kind, object).1,
        Shape::Source | Shape::HelmRepository | Shape::HelmChart | Shape::ExternalArtifact => {
            format!("fetched revision {}", text(object, "/status/artifact/revision"))
        }
        Shape::ImageRepository => {
            let tags = object.pointer("/status/lastScanResult/tagCount").and_then(Value::as_i64).unwrap_or(0);
            format!("scan fetched {tags} tags")
        }
        Shape::ImagePolicy => format!(
            "selected ref {}:{}",
            text(object, "/status/latestRef/name"),
            text(object, "/status/latestRef/tag")
        ),
        Shape::ImageUpdate => ready(kind, object).1,
        Shape::Plain | Shape::Alert | Shape::Provider => format!("{} reconciliation completed", kind.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_made_from_the_chart_beside_its_source() {
        let release = |spec: Value| json!({"metadata": {"name": "web", "namespace": "apps"}, "spec": spec});
        let triple = |kind: &str, namespace: &str, name: &str| {
            Some((kind.to_owned(), namespace.to_owned(), name.to_owned()))
        };
        let chart = release(
            json!({"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "r", "namespace": "sources"}}}}),
        );
        assert_eq!(source_of(&HELM_RELEASE, &chart), triple("HelmChart", "sources", "apps-web"));
        let reference = release(json!({"chartRef": {"kind": "OCIRepository", "name": "r"}}));
        assert_eq!(source_of(&HELM_RELEASE, &reference), triple("OCIRepository", "apps", "r"));
        assert_eq!(source_of(&HELM_RELEASE, &release(json!({}))), None);
    }
}
