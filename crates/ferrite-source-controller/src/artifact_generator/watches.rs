//! Generators follow their sources, and notice when an ExternalArtifact of theirs disappears.

use std::sync::Arc;

use ferrite_api::{
    Artifact,
    source::{
        ArtifactGenerator, Bucket, ExternalArtifact, GeneratorSourceKind, GitRepository, HelmChart,
        OciRepository,
    },
};
use ferrite_runtime::{Change, Controller, ObjectKey, Runtime, Store, Trigger};

use super::Generators;

/// Adds the watches.
pub(crate) fn watch(controller: &mut Controller<Generators>, runtime: &Runtime) {
    macro_rules! follow {
        ($kind:ty, $word:expr) => {
            let map = |change: &Change<$kind>, generators: &Store<ArtifactGenerator>| {
                let Change::Applied { old, new } = change else { return Vec::new() };
                let of = |object: &$kind| object.status.as_ref().and_then(|status| status.artifact.clone());
                let before = old.as_ref().and_then(|old| of(old));
                followers($word, &ObjectKey::of(new.as_ref()), before.as_ref(), of(new).as_ref(), generators)
            };
            let _store = controller.watch(runtime.api::<$kind>(), runtime.watch_config(), map);
        };
    }
    follow!(Bucket, GeneratorSourceKind::Bucket);
    follow!(GitRepository, GeneratorSourceKind::GitRepository);
    follow!(OciRepository, GeneratorSourceKind::OciRepository);
    follow!(HelmChart, GeneratorSourceKind::HelmChart);
    let external = |change: &Change<ExternalArtifact>, generators: &Store<ArtifactGenerator>| match change {
        Change::Applied { old, new } => {
            let of =
                |object: &ExternalArtifact| object.status.as_ref().and_then(|status| status.artifact.clone());
            let before = old.as_ref().and_then(|old| of(old));
            let (kind, key) = (GeneratorSourceKind::ExternalArtifact, ObjectKey::of(new.as_ref()));
            followers(kind, &key, before.as_ref(), of(new).as_ref(), generators)
        }
        Change::Deleted(gone) => maker(gone).into_iter().collect(),
    };
    let _store = controller.watch(runtime.api::<ExternalArtifact>(), runtime.watch_config(), external);
}

/// The generators that read a source whose artifact changed.
fn followers(
    kind: GeneratorSourceKind,
    source: &ObjectKey,
    before: Option<&Artifact>,
    now: Option<&Artifact>,
    generators: &Store<ArtifactGenerator>,
) -> Vec<Trigger> {
    let identity =
        |artifact: &Artifact| (artifact.revision.clone(), artifact.digest.clone(), artifact.url.clone());
    if now.is_none() || before.map(identity) == now.map(identity) {
        return Vec::new();
    }
    let reads = |generator: &Arc<ArtifactGenerator>| {
        let key = ObjectKey::of(generator.as_ref());
        let named = generator.spec.sources.iter().any(|one| {
            one.kind == kind
                && one.name == source.name
                && *one.namespace.as_ref().unwrap_or(&key.namespace) == source.namespace
        });
        named.then_some(Trigger::Add(key))
    };
    generators.list().iter().filter_map(reads).collect()
}

/// The generator that made an ExternalArtifact.
fn maker(gone: &ExternalArtifact) -> Option<Trigger> {
    let reference =
        gone.spec.source_ref.as_ref().filter(|reference| reference.kind == "ArtifactGenerator")?;
    let own = ObjectKey::of(gone);
    let namespace = reference.namespace.clone().unwrap_or(own.namespace);
    Some(Trigger::Add(ObjectKey::new(namespace, reference.name.clone())))
}
