//! The kinds the command line knows, and the words it has for them: those of `flux`.

/// How `suspend` and the tables see whether an object rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// By `spec.suspend`.
    Suspend,
    /// By the annotation `source.extensions.fluxcd.io/reconcile: Disabled`.
    Annotation,
    /// It cannot.
    Never,
}

/// What the table of a kind shows between the name and the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Kustomization,
    HelmRelease,
    /// Revision of `status.artifact`.
    Source,
    HelmRepository,
    /// As a source, but the revision is a version and never shortened.
    HelmChart,
    ExternalArtifact,
    ImageRepository,
    ImagePolicy,
    ImageUpdate,
    /// Nothing but whether it rests.
    Plain,
    /// Always ready, with this message, and it may rest.
    Alert,
    /// Always ready.
    Provider,
}

/// One kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    /// As it is called in sentences.
    pub(crate) human: &'static str,
    /// The word before its own on the command line, singular and plural.
    pub(crate) family: Option<(&'static str, &'static str)>,
    /// Its word on the command line, singular and plural.
    pub(crate) words: (&'static str, &'static str),
    /// A shorter word.
    pub(crate) short: Option<&'static str>,
    pub(crate) rest: Rest,
    /// Whether `reconcile` can ask for it.
    pub(crate) reconciles: bool,
    pub(crate) shape: Shape,
}

const SOURCE: Option<(&str, &str)> = Some(("source", "sources"));
const IMAGE: Option<(&str, &str)> = Some(("image", "images"));
const ARTIFACT: Option<(&str, &str)> = Some(("artifact", "artifacts"));

const SOURCES: &str = "source.toolkit.fluxcd.io";
const IMAGES: &str = "image.toolkit.fluxcd.io";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io";

macro_rules! kind {
    ($name:ident, $group:expr, $version:literal, $kind:literal, $plural:literal, $human:literal,
     $family:expr, $words:expr, $short:expr, $rest:ident, $reconciles:literal, $shape:ident) => {
        pub(crate) const $name: Kind = Kind {
            group: $group,
            version: $version,
            kind: $kind,
            plural: $plural,
            human: $human,
            family: $family,
            words: $words,
            short: $short,
            rest: Rest::$rest,
            reconciles: $reconciles,
            shape: Shape::$shape,
        };
    };
}

kind!(
    KUSTOMIZATION,
    "kustomize.toolkit.fluxcd.io",
    "v1",
    "Kustomization",
    "kustomizations",
    "kustomization",
    None,
    ("kustomization", "kustomizations"),
    Some("ks"),
    Suspend,
    true,
    Kustomization
);
kind!(
    HELM_RELEASE,
    "helm.toolkit.fluxcd.io",
    "v2",
    "HelmRelease",
    "helmreleases",
    "helmrelease",
    None,
    ("helmrelease", "helmreleases"),
    Some("hr"),
    Suspend,
    true,
    HelmRelease
);
kind!(
    GIT_REPOSITORY,
    SOURCES,
    "v1",
    "GitRepository",
    "gitrepositories",
    "source git",
    SOURCE,
    ("git", "git"),
    None,
    Suspend,
    true,
    Source
);
kind!(
    OCI_REPOSITORY,
    SOURCES,
    "v1",
    "OCIRepository",
    "ocirepositories",
    "source oci",
    SOURCE,
    ("oci", "oci"),
    None,
    Suspend,
    true,
    Source
);
kind!(
    BUCKET,
    SOURCES,
    "v1",
    "Bucket",
    "buckets",
    "source bucket",
    SOURCE,
    ("bucket", "bucket"),
    None,
    Suspend,
    true,
    Source
);
kind!(
    HELM_REPOSITORY,
    SOURCES,
    "v1",
    "HelmRepository",
    "helmrepositories",
    "source helm",
    SOURCE,
    ("helm", "helm"),
    None,
    Suspend,
    true,
    HelmRepository
);
kind!(
    HELM_CHART,
    SOURCES,
    "v1",
    "HelmChart",
    "helmcharts",
    "source chart",
    SOURCE,
    ("chart", "chart"),
    None,
    Suspend,
    true,
    HelmChart
);
kind!(
    EXTERNAL_ARTIFACT,
    SOURCES,
    "v1",
    "ExternalArtifact",
    "externalartifacts",
    "source external-artifact",
    SOURCE,
    ("external", "external"),
    None,
    Never,
    false,
    ExternalArtifact
);
kind!(
    IMAGE_REPOSITORY,
    IMAGES,
    "v1",
    "ImageRepository",
    "imagerepositories",
    "image repository",
    IMAGE,
    ("repository", "repository"),
    None,
    Suspend,
    true,
    ImageRepository
);
kind!(
    IMAGE_POLICY,
    IMAGES,
    "v1",
    "ImagePolicy",
    "imagepolicies",
    "image policy",
    IMAGE,
    ("policy", "policy"),
    None,
    Suspend,
    true,
    ImagePolicy
);
kind!(
    IMAGE_UPDATE,
    IMAGES,
    "v1",
    "ImageUpdateAutomation",
    "imageupdateautomations",
    "image update automation",
    IMAGE,
    ("update", "update"),
    None,
    Suspend,
    true,
    ImageUpdate
);
kind!(
    RECEIVER,
    NOTIFICATION,
    "v1",
    "Receiver",
    "receivers",
    "receiver",
    None,
    ("receiver", "receivers"),
    None,
    Suspend,
    true,
    Plain
);
kind!(
    ALERT,
    NOTIFICATION,
    "v1beta3",
    "Alert",
    "alerts",
    "alert",
    None,
    ("alert", "alerts"),
    None,
    Suspend,
    false,
    Alert
);
kind!(
    PROVIDER,
    NOTIFICATION,
    "v1beta3",
    "Provider",
    "providers",
    "alert provider",
    None,
    ("alert-provider", "alert-providers"),
    None,
    Suspend,
    false,
    Provider
);
kind!(
    ARTIFACT_GENERATOR,
    "source.extensions.fluxcd.io",
    "v1beta1",
    "ArtifactGenerator",
    "artifactgenerators",
    "artifactgenerator",
    ARTIFACT,
    ("generator", "generators"),
    None,
    Annotation,
    true,
    Plain
);

/// Every kind, in the order of `get all`.
pub(crate) const ALL: &[&Kind] = &[
    &OCI_REPOSITORY,
    &BUCKET,
    &GIT_REPOSITORY,
    &HELM_REPOSITORY,
    &HELM_CHART,
    &EXTERNAL_ARTIFACT,
    &IMAGE_REPOSITORY,
    &IMAGE_POLICY,
    &IMAGE_UPDATE,
    &HELM_RELEASE,
    &KUSTOMIZATION,
    &RECEIVER,
    &PROVIDER,
    &ALERT,
    &ARTIFACT_GENERATOR,
];

impl Kind {
    /// `group/version`.
    pub(crate) fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// As kube names resources.
    pub(crate) fn resource(&self) -> kube::api::ApiResource {
        let gvk = kube::api::GroupVersionKind::gvk(self.group, self.version, self.kind);
        kube::api::ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }

    /// Whether its objects are ready as soon as they exist: nobody reconciles them.
    pub(crate) fn is_static(&self) -> bool {
        matches!(self.shape, Shape::Alert | Shape::Provider)
    }
}

/// The kind of this name, or of a word of the command line for it, in any case.
pub(crate) fn find(word: &str) -> Option<&'static Kind> {
    ALL.iter().copied().find(|kind| {
        [Some(kind.kind), Some(kind.plural), Some(kind.words.0), kind.short]
            .into_iter()
            .flatten()
            .any(|known| known.eq_ignore_ascii_case(word))
    })
}
