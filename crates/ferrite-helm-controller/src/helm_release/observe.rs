//! Reads: the HelmChart, the dependencies, the source, the values, the chart, the target.

use std::{sync::Arc, time::Duration};

use ferrite_api::{Artifact, helm::HelmRelease};
use ferrite_apply::{Cluster, Expressions, FoundSource, SourceId, SourceKind};
use ferrite_helm::Chart;
use ferrite_resource::ignore::{IgnoreRules, RuleSpec, TargetSpec};
use ferrite_runtime::{ObjectKey, Progress, chain};
use kube::Api;
use serde_json::{Map, Value};

use crate::{
    chart,
    context::{Context, Settings},
    error::Error,
    index::{dependencies_of, source_of},
    values,
};

/// How long a download holds a worker.
const PROMPT: Duration = Duration::from_millis(500);

/// Everything that was read.
pub(crate) enum Observed {
    /// HelmCharts have to be written first.
    Charts(Box<Charts>),
    /// A chart can be released.
    Release(Box<Released>),
}

/// HelmCharts to write before there is anything to release.
#[derive(Debug, Clone)]
pub(crate) struct Charts {
    /// Where the HelmChart of the spec is, the object, and whether it is new.
    pub(crate) apply: Option<(ObjectKey, Value, bool)>,
    /// One that is not wanted any more.
    pub(crate) delete: Option<ObjectKey>,
    /// The status so far.
    pub(crate) status: Option<ferrite_api::helm::HelmReleaseStatus>,
    /// When to look again without being woken.
    pub(crate) again: Duration,
}

/// A chart with its values, and where it goes.
#[derive(Clone)]
pub(crate) struct Released {
    pub(crate) chart: Arc<Chart>,
    pub(crate) oci_digest: Option<String>,
    pub(crate) values: Map<String, Value>,
    pub(crate) cluster: Cluster,
    pub(crate) expressions: Arc<Expressions>,
    pub(crate) ignore: IgnoreRules,
    pub(crate) settings: Settings,
}

pub(crate) async fn observe(
    context: &Context,
    object: &HelmRelease,
    step: &Progress,
) -> Result<Observed, Error> {
    let (source, expressions, ignore) = check(&context.settings, object)?;
    let found = context.sources.get(&source).await.map_err(|error| Error::Source(chain(&error)))?;
    if let Some(charts) = charts(context, object, &source, found.as_ref()) {
        return Ok(Observed::Charts(Box::new(charts)));
    }
    step.say(format_args!("Fulfilling prerequisites"));
    dependencies(context, object, &expressions).await?;
    let Some(found) = found else {
        return Err(Error::Source(format!("{} not found", named(&source))));
    };
    let not_ready = |why| Error::SourceNotReady {
        source_id: named(&source),
        why,
        again: context.settings.requeue_dependency,
    };
    let artifact = artifact_of(&found, source.kind).map_err(not_ready)?;
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let values = values::load(&context.client, namespace, &object.spec).await.map_err(Error::Values)?;
    let mut chart = load(context, &artifact, step).await?;
    let of_registry = match source.kind {
        SourceKind::OciRepository => true,
        SourceKind::ExternalArtifact => artifact.revision.contains(':'),
        SourceKind::HelmChart | SourceKind::GitRepository | SourceKind::Bucket => false,
    };
    let oci_digest = if of_registry {
        chart::track_digest(&mut chart, &artifact.revision, context.settings.digest_tracking)
            .map_err(Error::Mutate)?
    } else {
        None
    };
    let cluster = context.targets.of(object).await?;
    Ok(Observed::Release(Box::new(Released {
        chart: Arc::new(chart),
        oci_digest,
        values,
        cluster,
        expressions,
        ignore,
        settings: context.settings.clone(),
    })))
}

/// A source in the words of Flux's helm-controller.
fn named(source: &SourceId) -> String {
    format!("{} '{}'", source.kind.as_str(), source.key)
}

/// The artifact to release, or why there is none to use now.
fn artifact_of(found: &FoundSource, kind: SourceKind) -> Result<Artifact, String> {
    let status = &found.status;
    let condition =
        |kind: &str, value: &str| status.conditions.iter().find(|c| c.type_ == kind && c.status == value);
    if kind != SourceKind::ExternalArtifact {
        if found.metadata.generation != status.observed_generation {
            let told = condition("Ready", "False").map(|c| c.message.clone());
            return Err(
                told.unwrap_or_else(|| "latest generation of object has not been reconciled".to_owned())
            );
        }
        if let Some(stalled) = condition("Stalled", "True") {
            return Err(stalled.message.clone());
        }
    }
    status.artifact.clone().ok_or_else(|| "does not have an artifact".to_owned())
}

/// What the spec alone decides.
fn check(
    settings: &Settings,
    object: &HelmRelease,
) -> Result<(SourceId, Arc<Expressions>, IgnoreRules), Error> {
    let spec = &object.spec;
    let source = source_of(object).ok_or(Error::Reference)?;
    if settings.no_cross_namespace_refs && Some(&source.key.namespace) != object.metadata.namespace.as_ref() {
        return Err(Error::AccessDenied(source.to_string()));
    }
    if source.kind == SourceKind::ExternalArtifact && !settings.external_artifact {
        return Err(Error::ExternalArtifactOff(format!("ExternalArtifact/{}", source.key)));
    }
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let rules: Vec<RuleSpec> = spec
        .drift_detection
        .iter()
        .flat_map(|drift| &drift.ignore)
        .map(|rule| RuleSpec {
            paths: rule.paths.clone(),
            target: rule.target.as_ref().map(|target| TargetSpec {
                group: text(&target.group),
                version: text(&target.version),
                kind: text(&target.kind),
                name: text(&target.name),
                namespace: text(&target.namespace),
                label_selector: text(&target.label_selector),
                annotation_selector: text(&target.annotation_selector),
            }),
        })
        .collect();
    Ok((
        source,
        Arc::new(Expressions::compile(&spec.depends_on, &spec.health_check_exprs)?),
        IgnoreRules::parse(&rules)?,
    ))
}

/// What there is to write about HelmCharts.
fn charts(
    context: &Context,
    object: &HelmRelease,
    source: &SourceId,
    found: Option<&FoundSource>,
) -> Option<Charts> {
    let made = object.status.as_ref().and_then(|status| status.helm_chart.as_deref());
    let made = made.and_then(|text| text.split_once('/')).map(|(ns, name)| ObjectKey::new(ns, name));
    let wanted = chart::wanted(object, &source.key);
    let keep = wanted.is_some().then_some(&source.key);
    let delete = made.clone().filter(|made| Some(made) != keep);
    let differs = |wanted: &Value| {
        made.as_ref() != Some(&source.key) || !found.is_some_and(|found| chart::is_as_wanted(wanted, found))
    };
    let apply = wanted.filter(differs).map(|wanted| (source.key.clone(), wanted, found.is_none()));
    (apply.is_some() || delete.is_some()).then(|| Charts {
        apply,
        delete,
        status: object.status.clone(),
        again: context.settings.requeue_dependency,
    })
}

async fn dependencies(
    context: &Context,
    object: &HelmRelease,
    expressions: &Expressions,
) -> Result<(), Error> {
    for (index, key) in dependencies_of(object).enumerate() {
        let unmet = |text| Error::Dependency { text, again: context.settings.requeue_dependency };
        let known = match context.handle.store.get(&key) {
            Some(known) => Ok(Some(known.as_ref().clone())),
            None => {
                let api: Api<HelmRelease> = Api::namespaced(context.client.clone(), &key.namespace);
                api.get_opt(&key.name).await
            }
        };
        let dependency = match known {
            Ok(Some(dependency)) => dependency,
            Ok(None) => {
                return Err(unmet(format!(
                    "unable to get '{key}' dependency: helmreleases.helm.toolkit.fluxcd.io \"{}\" not found",
                    key.name
                )));
            }
            Err(error) => return Err(unmet(format!("unable to get '{key}' dependency: {}", chain(&error)))),
        };
        let expression = expressions.ready.get(index).and_then(Option::as_ref);
        let ready = match expression {
            Some(expression) => {
                let json = |object: &HelmRelease| serde_json::to_value(object).unwrap_or_default();
                let (own, other) = (json(object), json(&dependency));
                let holds = expression
                    .eval_bool(&[("self", &own), ("dep", &other)])
                    .map_err(|error| unmet(format!("dependency '{key}' readyExpr: {error}")))?;
                if !holds {
                    return Err(unmet(format!(
                        "dependency '{key}' is not ready according to readyExpr eval"
                    )));
                }
                !context.settings.additive_cel_dependency_check || super::is_ready_now(&dependency)
            }
            None => super::is_ready_now(&dependency),
        };
        if !ready {
            return Err(unmet(format!("dependency '{key}' is not ready")));
        }
    }
    Ok(())
}

async fn load(context: &Context, artifact: &Artifact, step: &Progress) -> Result<Chart, Error> {
    let size = artifact.size.and_then(|size| u64::try_from(size).ok());
    let mut fetching = std::pin::pin!(context.fetcher.fetch(&artifact.url, &artifact.digest, size));
    // Most are here at once; one that can take minutes, because the source-controller is away, needs no worker.
    let fetched = match tokio::time::timeout(PROMPT, fetching.as_mut()).await {
        Ok(fetched) => fetched,
        Err(_) => step.wait(fetching).await?,
    };
    let tree = fetched.map_err(|error| {
        if error.is_not_found() {
            Error::ArtifactGone { again: context.settings.requeue_dependency }
        } else {
            Error::Load(chain(&error))
        }
    })?;
    chart::load(&tree).map_err(Error::Load)
}
