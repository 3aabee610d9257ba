//! Dependencies of charts in files that lie in Helm repositories: found, downloaded, put below `charts/`.
//!
//! Flux (`internal/helm/chart/dependency_manager.go`): a HelmRepository of the chart's namespace with the same address
//! lends its credentials and its index; without one the repository is asked anonymously.

use std::io::Read as _;

use ferrite_api::source::HelmRepository;
use ferrite_artifact::Limits;
use ferrite_helm::{Chart, Dependency};
use ferrite_runtime::chain;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::{Api, api::ListParams};
use serde_json::json;

use super::{
    Error,
    act::CHART_LAYER,
    observe::{registry_version, resolve, stored_artifact, stored_index},
    package,
};
use crate::{
    context::{Context, api_message},
    download::Downloaded,
    helm_index::Index,
    helm_repository,
};

/// Downloads at once.
const CONCURRENT: usize = 4;

/// The chart with every dependency that it declares, and how many were added.
pub(super) async fn build(
    context: &Context,
    namespace: &str,
    chart: &Chart,
    limits: &Limits,
) -> Result<(Chart, usize), Error> {
    let missing = package::missing(chart);
    let missing: Vec<&Dependency> = missing.iter().filter(|one| !package::is_local(one)).collect();
    if missing.is_empty() {
        return Ok((chart.clone(), 0));
    }
    let api: Api<HelmRepository> = context.api(namespace);
    let repositories = api.list(&ListParams::default()).await;
    let repositories = repositories.map_err(|error| Error::Source { problem: api_message(&error) })?.items;
    let mut downloads = Vec::with_capacity(missing.len());
    for dependency in &missing {
        downloads.push(add(context, &repositories, dependency, limits));
    }
    let added: Vec<package::Files> =
        futures::stream::iter(downloads).buffered(CONCURRENT).try_collect().await?;
    let mut files = chart.raw.clone();
    files.extend(added.into_iter().flatten());
    let whole = Chart::from_files(files).map_err(|error| Error::Package(error.to_string()))?;
    Ok((whole, missing.len()))
}

/// The files of a dependency, as they lie in its parent.
async fn add(
    context: &Context,
    repositories: &[HelmRepository],
    dependency: &Dependency,
    limits: &Limits,
) -> Result<package::Files, Error> {
    let fail = |problem: String| Error::Dependency {
        name: package::called(dependency).to_owned(),
        kind: "remote",
        problem,
    };
    let bytes = fetch(context, repositories, dependency, limits).await.map_err(fail)?;
    let loaded = context.blocking(move |_| Chart::from_archive(&bytes)).await;
    let chart = loaded.map_err(|error| fail(format!("failed to load downloaded archive: {error}")))?;
    package::placed(&chart, dependency).map_err(fail)
}

/// The archive of a dependency.
async fn fetch(
    context: &Context,
    repositories: &[HelmRepository],
    dependency: &Dependency,
    limits: &Limits,
) -> Result<Vec<u8>, String> {
    let Dependency { name, version, repository: address, .. } = dependency;
    let wanted = normalized(address)?;
    let known = repositories.iter().find(|one| normalized(&one.spec.url).as_ref() == Ok(&wanted));
    let repository = match known {
        Some(known) => known.clone(),
        None => anonymous(&wanted)?,
    };
    let unknown =
        |error: String| format!("failed to get chart '{name}' version '{version}' from '{address}': {error}");
    let failed = |error: String| format!("chart download of version '{version}' failed: {error}");
    let downloaded = if wanted.starts_with("oci://") {
        let found = registry_version(context, &repository, name, version).await;
        let (registry, _, digest) = found.map_err(|error| unknown(chain(&error)))?;
        let manifest = registry.manifest(&digest).await.map_err(|error| failed(chain(&error)))?;
        let layer = manifest.layers.iter().find(|layer| layer.media_type == CHART_LAYER);
        let layer = layer.ok_or_else(|| failed(format!("it has no layer of type '{CHART_LAYER}'")))?;
        registry.layer(layer, limits.archive_bytes).await.map_err(|error| failed(chain(&error)))?
    } else {
        let base = helm_repository::base_url(&repository).map_err(|error| unknown(chain(&error)))?;
        let access = helm_repository::access(context, &repository, &base).await;
        let access = access.map_err(|error| unknown(chain(&error)))?;
        let index = match indexed(context, &repository).await {
            Some(index) => index,
            None => {
                let mut url = base.clone();
                url.set_path(&format!("{}index.yaml", base.path()));
                let downloaded = access.download(&url, context.helm.index_bytes).await;
                let Downloaded { file, size, .. } = downloaded.map_err(|error| unknown(chain(&error)))?;
                let read = context.blocking(move |_| Index::read(file, size)).await;
                std::sync::Arc::new(read.map_err(|error| unknown(chain(&error)))?)
            }
        };
        let one = index.get(name, version).map_err(|error| unknown(chain(&error)))?;
        let url = resolve(&base, one.urls.first().map_or("", String::as_str));
        let url = url.map_err(|error| failed(chain(&error)))?;
        access.download(&url, limits.archive_bytes).await.map_err(|error| failed(chain(&error)))?
    };
    let mut bytes = Vec::with_capacity(usize::try_from(downloaded.size).unwrap_or(0));
    let read = (&downloaded.file).take(limits.archive_bytes).read_to_end(&mut bytes);
    read.map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

/// The stored index of a repository that has one.
async fn indexed(context: &Context, repository: &HelmRepository) -> Option<std::sync::Arc<Index>> {
    let artifact = repository.status.as_ref().and_then(|status| status.artifact.clone());
    let artifact = stored_artifact(context, repository, Some(artifact?)).await.ok()?;
    stored_index(context, repository, &artifact).await.ok()
}

/// An address as Flux compares them: exactly one slash at the end over HTTP, none of a registry.
fn normalized(address: &str) -> Result<String, String> {
    let plain = address.trim_end_matches('/');
    let (scheme, _) = plain.split_once("://").unwrap_or((plain, ""));
    match scheme {
        "http" | "https" => Ok(format!("{plain}/")),
        "oci" => Ok(plain.to_owned()),
        _ if address.starts_with('@') || address.starts_with("alias:") => {
            Err("repository aliases are not supported; give the address of the repository".to_owned())
        }
        other => {
            Err(format!("scheme '{other}' of '{address}' is not supported, expected http, https or oci"))
        }
    }
}

/// A repository that asks for nothing.
fn anonymous(address: &str) -> Result<HelmRepository, String> {
    let kind = if address.starts_with("oci://") { "oci" } else { "default" };
    let repository = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "metadata": { "name": "" },
        "spec": { "url": address, "type": kind, "timeout": "60s" },
    });
    serde_json::from_value(repository).map_err(|error| error.to_string())
}
