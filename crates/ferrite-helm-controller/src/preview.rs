//! What a HelmRelease would release, for whoever wants to know before: the command line.
//!
//! The steps are the controller's own: values, rendering, post-rendering, labels.

use std::sync::Arc;

use ferrite_api::helm::HelmRelease;
use ferrite_apply::Cluster;
use ferrite_helm::{ApplyMethod, Chart, Release, ReleaseInfo};
use kube::Client;
use serde_json::{Map, Value};

use crate::render::{self, Changes, Rendering};
use crate::{names, values};

/// Why there is no preview; shows no value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PreviewError(String);

/// The values of a HelmRelease: those of `valuesFrom` in order, the spec's own over them.
///
/// # Errors
///
/// When a ConfigMap or Secret is missing and not optional, or holds no values.
pub async fn values(client: &Client, object: &HelmRelease) -> Result<Map<String, Value>, PreviewError> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    values::load(client, namespace, &object.spec).await.map_err(PreviewError)
}

/// The release that `chart` would become as the revision after `last`; nothing is written.
///
/// # Errors
///
/// When the values cannot be read or the chart cannot be rendered.
pub async fn release(
    cluster: &Cluster,
    object: &HelmRelease,
    chart: Chart,
    last: Option<&Release>,
) -> Result<Release, PreviewError> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let info = ReleaseInfo {
        name: names::release_name(&object.spec, name),
        namespace: names::release_namespace(&object.spec, namespace),
        revision: last.map_or(1, |last| last.version.saturating_add(1)),
        is_upgrade: last.is_some(),
    };
    let rendering = Rendering {
        chart: Arc::new(chart),
        values: values(cluster.client(), object).await?,
        defaults: None,
        info: info.clone(),
        skip_schema: true,
        post_renderer: Arc::new(Changes::of(object)),
        strategy: render::strategy(object, false),
        dns: false,
    };
    let rendered = render::render(cluster, rendering).await.map_err(PreviewError)?;
    Ok(rendered.into_release(&info, ApplyMethod::Server, ""))
}
