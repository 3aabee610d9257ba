//! The manifests of `config/`, embedded.

/// Path below `config/` and text.
pub(super) const FILES: &[(&str, &str)] = &[
    ("base/allow-egress.yaml", include_str!("../../../../config/base/allow-egress.yaml")),
    ("base/allow-scraping.yaml", include_str!("../../../../config/base/allow-scraping.yaml")),
    ("base/allow-webhooks.yaml", include_str!("../../../../config/base/allow-webhooks.yaml")),
    ("base/cluster-reconciler.yaml", include_str!("../../../../config/base/cluster-reconciler.yaml")),
    ("base/crd-controller-binding.yaml", include_str!("../../../../config/base/crd-controller-binding.yaml")),
    ("base/crd-controller.yaml", include_str!("../../../../config/base/crd-controller.yaml")),
    ("base/critical-pods.yaml", include_str!("../../../../config/base/critical-pods.yaml")),
    ("base/flux-edit.yaml", include_str!("../../../../config/base/flux-edit.yaml")),
    ("base/flux-view.yaml", include_str!("../../../../config/base/flux-view.yaml")),
    ("base/kustomization.yaml", include_str!("../../../../config/base/kustomization.yaml")),
    (
        "base/leader-election-binding.yaml",
        include_str!("../../../../config/base/leader-election-binding.yaml"),
    ),
    ("base/leader-election.yaml", include_str!("../../../../config/base/leader-election.yaml")),
    ("base/namespace.yaml", include_str!("../../../../config/base/namespace.yaml")),
    ("helm-controller/account.yaml", include_str!("../../../../config/helm-controller/account.yaml")),
    ("helm-controller/deployment.yaml", include_str!("../../../../config/helm-controller/deployment.yaml")),
    (
        "helm-controller/kustomization.yaml",
        include_str!("../../../../config/helm-controller/kustomization.yaml"),
    ),
    (
        "helm-controller/role-binding.yaml",
        include_str!("../../../../config/helm-controller/role-binding.yaml"),
    ),
    ("helm-controller/role.yaml", include_str!("../../../../config/helm-controller/role.yaml")),
    (
        "kustomize-controller/account.yaml",
        include_str!("../../../../config/kustomize-controller/account.yaml"),
    ),
    (
        "kustomize-controller/deployment.yaml",
        include_str!("../../../../config/kustomize-controller/deployment.yaml"),
    ),
    (
        "kustomize-controller/kustomization.yaml",
        include_str!("../../../../config/kustomize-controller/kustomization.yaml"),
    ),
    (
        "kustomize-controller/role-binding.yaml",
        include_str!("../../../../config/kustomize-controller/role-binding.yaml"),
    ),
    ("kustomize-controller/role.yaml", include_str!("../../../../config/kustomize-controller/role.yaml")),
    (
        "notification-controller/account.yaml",
        include_str!("../../../../config/notification-controller/account.yaml"),
    ),
    (
        "notification-controller/deployment.yaml",
        include_str!("../../../../config/notification-controller/deployment.yaml"),
    ),
    (
        "notification-controller/kustomization.yaml",
        include_str!("../../../../config/notification-controller/kustomization.yaml"),
    ),
    (
        "notification-controller/role-binding.yaml",
        include_str!("../../../../config/notification-controller/role-binding.yaml"),
    ),
    (
        "notification-controller/role.yaml",
        include_str!("../../../../config/notification-controller/role.yaml"),
    ),
    (
        "notification-controller/service.yaml",
        include_str!("../../../../config/notification-controller/service.yaml"),
    ),
    (
        "notification-controller/webhook-receiver.yaml",
        include_str!("../../../../config/notification-controller/webhook-receiver.yaml"),
    ),
    ("source-controller/account.yaml", include_str!("../../../../config/source-controller/account.yaml")),
    (
        "source-controller/deployment.yaml",
        include_str!("../../../../config/source-controller/deployment.yaml"),
    ),
    (
        "source-controller/kustomization.yaml",
        include_str!("../../../../config/source-controller/kustomization.yaml"),
    ),
    (
        "source-controller/role-binding.yaml",
        include_str!("../../../../config/source-controller/role-binding.yaml"),
    ),
    ("source-controller/role.yaml", include_str!("../../../../config/source-controller/role.yaml")),
    ("source-controller/service.yaml", include_str!("../../../../config/source-controller/service.yaml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_is_embedded() {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");
        for (path, _) in FILES {
            let directory = path.split('/').next().unwrap();
            for entry in fs_err::read_dir(format!("{config}/{directory}")).unwrap() {
                let name = format!("{directory}/{}", entry.unwrap().file_name().to_string_lossy());
                assert!(FILES.iter().any(|(known, _)| *known == name), "{name} is not embedded");
            }
        }
    }
}
