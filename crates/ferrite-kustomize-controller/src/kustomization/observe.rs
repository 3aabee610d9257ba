//! Reads: the source, the dependencies, the artifact, the variables, the target; and builds.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use ferrite_api::{Artifact, kustomize::Kustomization};
use ferrite_apply::{Cluster, Expressions, SourceId, SourceKind};
use ferrite_resource::{
    Inventory,
    ignore::{IgnoreRules, RuleSpec, TargetSpec},
};
use ferrite_runtime::{Interrupted, ObjectKey, Progress};
use ferrite_tree::{Kind, MemoryTree, Tree, TreePath};
use jiff::Timestamp;
use kube::Api;

use crate::{
    build::{self, Built},
    builds,
    context::{Context, Settings},
    decrypt,
    error::{Attempt, Error, Failure, SourceName, Unmet},
    index::{dependencies_of, source_of},
    remote::RemoteBases,
    variables,
};

/// How long a download holds a worker.
const PROMPT: Duration = Duration::from_millis(500);
/// Kustomizations looked at to find a cycle.
const MAX_CYCLE_SEARCH: usize = 1000;

/// Everything that was read.
#[derive(Debug)]
pub(crate) struct Observed {
    /// When the reconcile began.
    pub(crate) started: Timestamp,
    /// The revision that was built.
    pub(crate) attempt: Attempt,
    /// Where it will be applied, and as whom.
    pub(crate) cluster: Cluster,
    /// What was built.
    pub(crate) built: Arc<Built>,
    /// What was applied before.
    pub(crate) inventory: Inventory,
    /// `spec.ignore`.
    pub(crate) ignore: IgnoreRules,
    /// The compiled expressions of the spec.
    pub(crate) expressions: Arc<Expressions>,
    /// How the controller is set.
    pub(crate) settings: Settings,
}

pub(crate) async fn observe(
    context: &Context,
    object: &Kustomization,
    step: &Progress,
) -> Result<Observed, Error> {
    let started = context.clock.now();
    let (expressions, ignore) = check(&context.settings, object)?;
    let source = source_of(object);
    let artifact = artifact(context, object, &source).await?;
    dependencies(context, object, &expressions, &source, &artifact).await?;
    let attempt = Attempt {
        revision: artifact.revision.clone(),
        origin_revision: artifact.metadata.get("org.opencontainers.image.revision").cloned(),
    };
    let timeout = object.spec.timeout();
    step.say(format_args!(
        "Fetching manifests for revision {} with a timeout of {timeout}",
        attempt.revision
    ));
    let inventory = super::inventory_of(object).map_err(|error| Error::at(&attempt, error))?;
    let read = async {
        let cluster = context.targets.of(object).await?;
        let built = built(context, object, &artifact, step).await?;
        Ok::<_, Failure>((cluster, built))
    };
    let (cluster, built) = read.await.map_err(|failure| Error::at(&attempt, failure))?;
    let settings = context.settings.clone();
    Ok(Observed { started, attempt, cluster, built, inventory, ignore, expressions, settings })
}

/// The manifests, built anew only when something they depend on is another than last time.
async fn built(
    context: &Context,
    object: &Kustomization,
    artifact: &Artifact,
    step: &Progress,
) -> Result<Arc<Built>, Failure> {
    let (spec, owner) = (&object.spec, super::owner_of(object));
    let substitution = variables::load(&context.client, &owner.namespace, spec.post_build.as_ref()).await?;
    let keys = decrypt::load(
        &context.client,
        object,
        context.settings.sops_age_secret.as_ref(),
        &context.decryption,
    )
    .await?;
    let fingerprint = keys.as_ref().map(|keys| keys.fingerprint);
    let key = builds::key(&artifact.digest, spec, &substitution, fingerprint.as_ref().map_or(&[], |f| f));
    if let Some(built) = context.builds.get(&owner, &key) {
        return Ok(built);
    }
    let tree = fetch(context, artifact, step).await?;
    let directory = directory(&tree, spec.path.as_deref().unwrap_or_default())?;
    step.field("lastAttemptedRevision", artifact.revision.clone().into());
    let timeout = spec.timeout();
    step.say(format_args!(
        "Building manifests for revision {} with a timeout of {timeout}",
        artifact.revision
    ));
    let strict = context.settings.strict_substitutions;
    let remote = (!context.settings.no_remote_bases).then(|| Arc::new(RemoteBases::default()));
    let input = build::Input {
        tree,
        directory,
        spec: spec.clone(),
        owner: owner.clone(),
        substitution,
        strict,
        keys,
        remote: remote.clone(),
    };
    let built = tokio::task::spawn_blocking(move || build::build(&input)).await;
    let built = Arc::new(built.map_err(|panic| Interrupted::Panicked(panic.to_string()))??);
    if remote.is_some_and(|remote| remote.used()) {
        // What is remote may be another one next time, whatever the artifact says.
        context.builds.forget(&owner);
    } else {
        context.builds.keep(&owner, key, &built);
    }
    Ok(built)
}

/// What the spec alone decides.
fn check(settings: &Settings, object: &Kustomization) -> Result<(Arc<Expressions>, IgnoreRules), Failure> {
    let spec = &object.spec;
    let expressions = Expressions::compile(&spec.depends_on, &spec.health_check_exprs)?;
    let source = source_of(object);
    if settings.no_cross_namespace_refs && Some(&source.key.namespace) != object.metadata.namespace.as_ref() {
        return Err(Failure::AccessDenied(SourceName::from(&source)));
    }
    if source.kind == SourceKind::ExternalArtifact && !settings.external_artifact {
        return Err(Failure::ExternalArtifactOff(SourceName::from(&source)));
    }
    if spec.decryption.as_ref().is_some_and(|decryption| {
        decryption.service_account_name.as_deref().is_some_and(|name| !name.is_empty())
    }) && !settings.object_level_workload_identity
    {
        return Err(Failure::DecryptionIdentityOff);
    }
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let rules: Vec<RuleSpec> = spec
        .ignore
        .iter()
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
    Ok((Arc::new(expressions), IgnoreRules::parse(&rules)?))
}

async fn artifact(context: &Context, object: &Kustomization, source: &SourceId) -> Result<Artifact, Failure> {
    let found = context.sources.get(source).await;
    let found = found.map_err(|error| Failure::Read { what: source.to_string(), source: error })?;
    match found.map(|found| found.status.artifact) {
        Some(Some(artifact)) => Ok(artifact),
        Some(None) => Err(Failure::NoArtifact { again: context.settings.requeue_dependency }),
        None => {
            let again = object.spec.retry_interval().to_std();
            let (kind, name) = (source.kind.as_str(), source.key.name.clone());
            Err(Failure::SourceNotFound { kind, name, again })
        }
    }
}

async fn dependencies(
    context: &Context,
    object: &Kustomization,
    expressions: &Expressions,
    source: &SourceId,
    artifact: &Artifact,
) -> Result<(), Failure> {
    for (index, key) in dependencies_of(object).enumerate() {
        let unmet = |unmet| Failure::Dependency { unmet, again: context.settings.requeue_dependency };
        let Some(dependency) = find(context, &key).await? else { return Err(unmet(Unmet::Missing(key))) };
        let expression = expressions.ready.get(index).and_then(Option::as_ref);
        if let Some(expression) = expression {
            let (own, other) = (json(object), json(dependency.as_ref()));
            match expression.eval_bool(&[("self", &own), ("dep", &other)]) {
                Ok(true) => {}
                Ok(false) => return Err(unmet(Unmet::Expression(key))),
                Err(error) => return Err(unmet(Unmet::Evaluation(key, error.to_string()))),
            }
            if !context.settings.additive_cel_dependency_check {
                continue;
            }
        }
        let Some(applied) = super::readiness(&dependency) else {
            let own = ObjectKey::of(object);
            return Err(unmet(
                cycle(&own, &key, |key| context.handle.store.get(key))
                    .map_or(Unmet::NotReady(key), Unmet::Cycle),
            ));
        };
        if source_of(&dependency) == *source && applied != Some(artifact.revision.as_str()) {
            return Err(unmet(Unmet::Behind(key)));
        }
    }
    Ok(())
}

/// A dependency; one that is not watched, because it is another shard's, is read.
async fn find(context: &Context, key: &ObjectKey) -> Result<Option<Arc<Kustomization>>, Failure> {
    if let Some(known) = context.handle.store.get(key) {
        return Ok(Some(known));
    }
    let api: Api<Kustomization> = Api::namespaced(context.client.clone(), &key.namespace);
    let read = |source| Failure::Read { what: format!("Kustomization/{key}"), source };
    Ok(api.get_opt(&key.name).await.map_err(read)?.map(Arc::new))
}

/// The way from `own` over its dependency `first` back to itself, if there is one.
pub(super) fn cycle(
    own: &ObjectKey,
    first: &ObjectKey,
    get: impl Fn(&ObjectKey) -> Option<Arc<Kustomization>>,
) -> Option<Vec<ObjectKey>> {
    let mut seen = HashSet::from([first.clone()]);
    let mut paths = VecDeque::from([vec![own.clone(), first.clone()]]);
    while let Some(path) = paths.pop_front() {
        let Some(object) = path.last().and_then(&get) else { continue };
        for next in dependencies_of(&object) {
            let step = || path.iter().cloned().chain([next.clone()]).collect();
            if next == *own {
                return Some(step());
            }
            if seen.len() < MAX_CYCLE_SEARCH && seen.insert(next.clone()) {
                paths.push_back(step());
            }
        }
    }
    None
}

fn json(object: &Kustomization) -> serde_json::Value {
    serde_json::to_value(object).unwrap_or_default()
}

async fn fetch(context: &Context, artifact: &Artifact, step: &Progress) -> Result<MemoryTree, Failure> {
    let size = artifact.size.and_then(|size| u64::try_from(size).ok());
    let mut fetching = std::pin::pin!(context.fetcher.fetch(&artifact.url, &artifact.digest, size));
    // Most are here at once; one that can take minutes, because the source-controller is away, needs no worker.
    let fetched = match tokio::time::timeout(PROMPT, fetching.as_mut()).await {
        Ok(fetched) => fetched,
        Err(_) => step.wait(fetching).await?,
    };
    fetched.map_err(|error| {
        if error.is_not_found() {
            Failure::ArtifactGone { again: context.settings.requeue_dependency }
        } else {
            Failure::Fetch(error)
        }
    })
}

/// The directory of `spec.path`: it lies below the root however it is written, `..` stops there.
pub(super) fn directory(tree: &MemoryTree, path: &str) -> Result<String, Failure> {
    let missing = || Failure::Path { path: path.chars().take(1024).collect() };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let directory = TreePath::new(&parts.join("/")).map_err(|_| missing())?;
    match tree.stat(&directory) {
        Ok(Some(Kind::Directory)) => Ok(directory.to_string()),
        Ok(Some(Kind::File) | None) | Err(_) => Err(missing()),
    }
}
