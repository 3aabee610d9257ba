//! The versions that Flux has dropped, as differences to the one that is stored.
//!
//! Without a conversion webhook the API server only rewrites `apiVersion` and prunes what the other version's schema
//! lacks. So every version of a kind holds the same fields, those of its former versions included; a former version
//! only asks for less. Sources: the CRDs of source-controller 0.24 to 1.5, kustomize-controller 0.35 to 1.6,
//! helm-controller 0.31 to 1.3, notification-controller 0.33 to 1.5, image-automation-controller 0.31 to 0.41 and
//! image-reflector-controller 0.26 to 0.35.

/// The versions that are served beside the stored one, and what they do not ask for.
///
/// What one of them did not ask for, none of them does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Former {
    /// Their names, newest first.
    pub(super) versions: &'static [&'static str],
    /// Fields that were optional.
    pub(super) optional: &'static [&'static str],
    /// Fields and objects whose patterns, lengths and rules did not exist.
    pub(super) unchecked: &'static [&'static str],
    /// Fields that no longer mean anything.
    pub(super) ignored: &'static [Ignored],
    /// Whether they had a status that the stored version lacks.
    pub(super) had_status: bool,
}

/// A kind without former versions.
pub(super) const NONE: Former =
    Former { versions: &[], optional: &[], unchecked: &[], ignored: &[], had_status: false };

/// A field of former versions that never changed, or no longer changes, what is done.
///
/// It is in the schema of every version, so that an object reads back as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ignored {
    /// The versions that had it.
    pub(super) versions: &'static [&'static str],
    /// Where it is.
    pub(super) path: &'static str,
    /// Its type.
    pub(super) shape: Shape,
    /// Why it is ignored, as a sentence for its description.
    pub(super) why: &'static str,
}

/// The type of an ignored field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// One of these words.
    Words(&'static [&'static str]),
    /// Any text.
    Text,
    /// Any object.
    Object,
}

const ACCESS_FROM: Ignored = Ignored {
    versions: &["v1beta1", "v1beta2"],
    path: ".spec.accessFrom",
    shape: Shape::Object,
    why: "Flux never enforced it on this kind.",
};

const CHECKSUM: Ignored = Ignored {
    versions: &["v1beta1", "v1beta2"],
    path: ".status.artifact.checksum",
    shape: Shape::Text,
    why: "The digest says the same.",
};

const INCLUDED_CHECKSUM: Ignored = Ignored { path: ".status.includedArtifacts[].checksum", ..CHECKSUM };

const CONFIG_CHECKSUM: Ignored = Ignored {
    versions: &["v1beta2"],
    path: ".status.contentConfigChecksum",
    shape: Shape::Text,
    why: "The observed settings say the same.",
};

const STATUS_URL: Ignored = Ignored {
    versions: &["v1beta1", "v1beta2"],
    path: ".status.url",
    shape: Shape::Text,
    why: "The artifact's URL says the same.",
};

/// GitRepository.
pub(super) const GIT_REPOSITORY: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: &[
        ".spec.verify.secretRef",
        ".status.artifact.digest",
        ".status.artifact.lastUpdateTime",
        ".status.artifact.revision",
        ".status.includedArtifacts[].digest",
        ".status.includedArtifacts[].lastUpdateTime",
        ".status.includedArtifacts[].revision",
    ],
    unchecked: &[".spec.interval", ".spec.timeout", ".spec.url"],
    ignored: &[
        ACCESS_FROM,
        Ignored {
            versions: &["v1beta1", "v1beta2"],
            path: ".spec.gitImplementation",
            shape: Shape::Words(&["go-git", "libgit2"]),
            why: "There is one implementation of Git.",
        },
        CHECKSUM,
        INCLUDED_CHECKSUM,
        CONFIG_CHECKSUM,
        STATUS_URL,
    ],
    ..NONE
};

/// Kustomization.
pub(super) const KUSTOMIZATION: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: &[".spec.patches[].patch"],
    unchecked: &[".spec.interval", ".spec.retryInterval", ".spec.timeout"],
    ignored: &[
        Ignored {
            versions: &["v1beta1", "v1beta2"],
            path: ".spec.validation",
            shape: Shape::Words(&["none", "client", "server"]),
            why: "Server-side apply always validates.",
        },
        Ignored {
            versions: &["v1beta1"],
            path: ".status.snapshot",
            shape: Shape::Object,
            why: "The inventory took its place.",
        },
    ],
    ..NONE
};

const OLD_ARTIFACT: &[&str] =
    &[".status.artifact.digest", ".status.artifact.lastUpdateTime", ".status.artifact.revision"];

/// OCIRepository.
pub(super) const OCI_REPOSITORY: Former = Former {
    versions: &["v1beta2"],
    optional: OLD_ARTIFACT,
    ignored: &[of_v1beta2(CHECKSUM), CONFIG_CHECKSUM],
    ..NONE
};

const fn of_v1beta2(field: Ignored) -> Ignored {
    Ignored { versions: &["v1beta2"], ..field }
}

/// HelmRepository.
pub(super) const HELM_REPOSITORY: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: OLD_ARTIFACT,
    unchecked: &[".spec.interval", ".spec.timeout", ".spec.url"],
    ignored: &[CHECKSUM],
    ..NONE
};

/// HelmChart.
pub(super) const HELM_CHART: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: OLD_ARTIFACT,
    unchecked: &[".spec", ".spec.interval"],
    ignored: &[ACCESS_FROM, CHECKSUM],
    ..NONE
};

/// Bucket.
pub(super) const BUCKET: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: OLD_ARTIFACT,
    unchecked: &[".spec.interval", ".spec.timeout"],
    ignored: &[ACCESS_FROM, CHECKSUM],
    ..NONE
};

/// HelmRelease.
pub(super) const HELM_RELEASE: Former = Former {
    versions: &["v2beta2", "v2beta1"],
    optional: &[".spec.chart.spec.sourceRef.kind", ".spec.postRenderers[].kustomize.patches[].patch"],
    unchecked: &[
        ".spec.chart.spec.chart",
        ".spec.serviceAccountName",
        ".status.lastAttemptedReleaseAction",
        ".status.storageNamespace",
    ],
    ignored: &[Ignored {
        versions: &["v2beta1", "v2beta2"],
        path: ".status.lastAppliedRevision",
        shape: Shape::Text,
        why: "The history says more.",
    }],
    ..NONE
};

/// Alert.
pub(super) const ALERT: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: &[".spec.eventSources[].kind"],
    unchecked: &[".spec.summary"],
    had_status: true,
    ..NONE
};

/// Provider.
pub(super) const PROVIDER: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    unchecked: &[".spec.address", ".spec.channel", ".spec.proxy", ".spec.username"],
    had_status: true,
    ..NONE
};

/// Receiver.
pub(super) const RECEIVER: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: &[".spec.resources[].kind"],
    ignored: &[Ignored { why: "`webhookPath` says the same.", ..STATUS_URL }],
    ..NONE
};

/// ImageRepository.
pub(super) const IMAGE_REPOSITORY: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: &[".spec.image", ".spec.interval"],
    unchecked: &[".spec.exclusionList"],
    ..NONE
};

/// ImagePolicy.
pub(super) const IMAGE_POLICY: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    ignored: &[
        Ignored {
            versions: &["v1beta1", "v1beta2"],
            path: ".status.latestImage",
            shape: Shape::Text,
            why: "`latestRef` says the same.",
        },
        Ignored {
            versions: &["v1beta2"],
            path: ".status.observedPreviousImage",
            shape: Shape::Text,
            why: "`observedPreviousRef` says the same.",
        },
    ],
    ..NONE
};

/// ImageUpdateAutomation.
pub(super) const IMAGE_UPDATE_AUTOMATION: Former = Former {
    versions: &["v1beta2", "v1beta1"],
    optional: &[".spec.git.commit.signingKey.secretRef"],
    ..NONE
};
