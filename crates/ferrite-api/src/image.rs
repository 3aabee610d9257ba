//! Image automation: `image.toolkit.fluxcd.io`.

mod policy;
mod repository;
mod update_automation;

pub use policy::{
    DigestReflectionPolicy, ImagePolicy, ImagePolicyChoice, ImagePolicySpec, ImagePolicyStatus, ImageRef,
    Order, OrderPolicy, SemVerPolicy, TagFilter,
};
pub use repository::{ImageRepository, ImageRepositorySpec, ImageRepositoryStatus, ScanResult};
pub use update_automation::{
    AutomationSourceKind, AutomationSourceReference, CommitAuthor, GitAutomation, GitCheckout, GitCommit,
    GitPush, ImageUpdateAutomation, ImageUpdateAutomationSpec, ImageUpdateAutomationStatus, SigningKey,
    SigningKeyType, UpdateStrategy, UpdateStrategyName,
};

/// The group of image automation.
pub const GROUP: &str = "image.toolkit.fluxcd.io";
