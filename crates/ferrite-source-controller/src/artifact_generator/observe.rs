//! Reads: the sources' artifacts, the stored files, the ExternalArtifacts of the generator.

use std::collections::BTreeMap;

use ferrite_api::{
    Artifact,
    source::{
        ArtifactGenerator, Bucket, ExternalArtifact, GeneratorSource, GeneratorSourceKind, GitRepository,
        HelmChart, OciRepository,
    },
};
use ferrite_artifact::{Algorithm, Digest, Health, ObjectDirectory};
use ferrite_runtime::chain;
use kube::{Api, ResourceExt as _, api::ListParams};

use super::{Error, GENERATOR_LABEL, RECONCILE_ANNOTATION, Settings, validate::validate};
use crate::context::{Context, api_message};

/// The annotation of an artifact that names the revision it was made of in the first place.
pub(super) const ORIGIN: &str = "org.opencontainers.image.revision";

/// Everything that decides what is to be done.
#[derive(Debug)]
pub struct Observed {
    /// The generator is at rest.
    pub(crate) disabled: bool,
    /// The sources as they are now, in the order of the spec.
    pub(crate) sources: Result<Vec<Source>, Error>,
    /// The generator's ExternalArtifacts in the cluster, by name.
    pub(crate) existing: BTreeMap<String, ExternalArtifact>,
    /// What became of the files of the inventory; the worst of it.
    pub(crate) stored: Health,
}

/// A source with its artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its short name.
    pub(crate) alias: String,
    /// Where its artifacts lie, if they lie in this storage.
    pub(crate) directory: Option<ObjectDirectory>,
    /// What it holds.
    pub(crate) artifact: Artifact,
}

pub(super) async fn observe(
    context: &Context,
    settings: &Settings,
    generator: &ArtifactGenerator,
) -> Result<Observed, Error> {
    let disabled = generator
        .annotations()
        .get(RECONCILE_ANNOTATION)
        .is_some_and(|value| value.eq_ignore_ascii_case("disabled"));
    if disabled {
        let (existing, stored) = (BTreeMap::new(), Health::Good);
        return Ok(Observed { disabled, sources: Ok(Vec::new()), existing, stored });
    }
    let sources = match validate(generator, settings.no_cross_namespace) {
        Ok(()) => sources(context, settings, generator).await,
        Err(error) => Err(error),
    };
    Ok(Observed {
        disabled,
        sources,
        existing: existing(context, generator).await?,
        stored: stored(context, generator).await?,
    })
}

/// The ExternalArtifacts that carry the generator's UID.
pub(super) async fn existing(
    context: &Context,
    generator: &ArtifactGenerator,
) -> Result<BTreeMap<String, ExternalArtifact>, Error> {
    let api: Api<ExternalArtifact> = context.api(&generator.namespace().unwrap_or_default());
    let selector = format!("{GENERATOR_LABEL}={}", generator.uid().unwrap_or_default());
    let list = api.list(&ListParams::default().labels(&selector)).await;
    let list = list.map_err(|error| Error::Look(api_message(&error)))?;
    Ok(list.items.into_iter().map(|object| (object.name_any(), object)).collect())
}

async fn stored(context: &Context, generator: &ArtifactGenerator) -> Result<Health, Error> {
    let namespace = generator.namespace().unwrap_or_default();
    for one in generator.status.iter().flat_map(|status| &status.inventory) {
        let Ok(directory) = ObjectDirectory::new("ExternalArtifact", &namespace, &one.name) else { continue };
        let (path, digest) = (format!("{directory}/{}", one.filename), one.digest.clone());
        let health = context.blocking(move |store| store.check(&path, &digest)).await;
        match health {
            Ok(Health::Good) => {}
            Ok(health) => return Ok(health),
            // A name that no file here can have.
            Err(ferrite_artifact::StoreError::Name { .. }) => return Ok(Health::Missing),
            Err(error) => return Err(Error::Look(chain(&error))),
        }
    }
    Ok(Health::Good)
}

async fn sources(
    context: &Context,
    settings: &Settings,
    generator: &ArtifactGenerator,
) -> Result<Vec<Source>, Error> {
    let own = generator.namespace().unwrap_or_default();
    let mut all = Vec::with_capacity(generator.spec.sources.len());
    for source in &generator.spec.sources {
        let namespace = source.namespace.clone().unwrap_or_else(|| own.clone());
        let again = settings.requeue_dependency;
        let fail = |problem: String| {
            let id = format!("{}/{namespace}/{}", source.kind.as_str(), source.name);
            Error::Sources { problem: format!("source '{}' ({id}): {problem}", source.alias), again }
        };
        let artifact = artifact(context, source, &namespace).await.map_err(fail)?;
        let artifact = artifact.ok_or_else(|| fail("it has no artifact yet".to_owned()))?;
        let directory = ObjectDirectory::new(source.kind.as_str(), &namespace, &source.name).ok();
        all.push(Source { alias: source.alias.clone(), directory, artifact });
    }
    Ok(all)
}

async fn artifact(
    context: &Context,
    source: &GeneratorSource,
    namespace: &str,
) -> Result<Option<Artifact>, String> {
    macro_rules! get {
        ($kind:ty) => {{
            let api: Api<$kind> = context.api(namespace);
            let object = api.get(&source.name).await.map_err(|error| api_message(&error))?;
            Ok(object.status.and_then(|status| status.artifact))
        }};
    }
    match source.kind {
        GeneratorSourceKind::Bucket => get!(Bucket),
        GeneratorSourceKind::GitRepository => get!(GitRepository),
        GeneratorSourceKind::OciRepository => get!(OciRepository),
        GeneratorSourceKind::HelmChart => get!(HelmChart),
        GeneratorSourceKind::ExternalArtifact => get!(ExternalArtifact),
    }
}

/// One digest for the state of all sources.
pub(super) fn sources_digest(sources: &[Source]) -> String {
    let line = |source: &Source| {
        let Artifact { digest, revision, url, .. } = &source.artifact;
        format!("{}=[digest={digest},revision={revision},url={url}]", source.alias)
    };
    let mut lines: Vec<String> = sources.iter().map(line).collect();
    lines.sort();
    Digest::of(Algorithm::Sha256, lines.join("|").as_bytes()).to_string()
}
