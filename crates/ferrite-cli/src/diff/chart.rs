//! The chart of a HelmRelease: a local one, or the artifact of its source, fetched through the API server.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use ferrite_artifact::Digest;
use ferrite_helm::Chart;
use ferrite_helm::command::Host as _;
use ferrite_tree::TreePath;
use serde_json::Value;

use crate::helm::Disk;
use crate::kinds::{HELM_CHART, find};
use crate::objects::{get, plain, reference, text};
use crate::session::Session;

/// Bytes of a chart.
const CHART_BYTES: usize = 64 << 20;

/// A chart of this machine, a directory or a `.tgz` file.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn local(path: &Path) -> Result<Chart> {
    Disk.chart(&path.to_string_lossy()).map_err(|error| anyhow!("{error}"))
}

/// The chart that the source of a HelmRelease has now.
///
/// # Errors
///
/// When the source has no artifact, or it cannot be fetched.
pub(super) async fn from_source(session: &Session, release: &Value) -> Result<Chart> {
    let (kind, namespace, name) = match text(release, "/status/helmChart").split_once('/') {
        Some((namespace, name)) => (HELM_CHART.kind.to_owned(), namespace.to_owned(), name.to_owned()),
        None => reference(release, "/spec/chartRef")
            .context("the HelmRelease has no chart yet; name one with --chart")?,
    };
    let kind = find(&kind).with_context(|| format!("a chart cannot come from a {kind}"))?;
    let source = get(session, kind, &namespace, &name).await?;
    let url = text(&source, "/status/artifact/url");
    if url.is_empty() {
        bail!("{} {namespace}/{name} has no artifact yet; name a chart with --chart", kind.kind);
    }
    let bytes = download(session, url).await.with_context(|| {
        format!("cannot fetch the chart of {} {namespace}/{name}; name one with --chart", kind.kind)
    })?;
    verify(&bytes, text(&source, "/status/artifact/digest"))?;
    read(&bytes)
}

fn verify(bytes: &[u8], expected: &str) -> Result<()> {
    let expected: Digest = expected.parse().map_err(|_| anyhow!("the artifact has no digest"))?;
    if Digest::of(expected.algorithm(), bytes) != expected {
        bail!("the artifact is not the one that the source names: its digest differs");
    }
    Ok(())
}

/// A packaged chart, or a directory in an archive as an OCIRepository keeps it.
fn read(bytes: &[u8]) -> Result<Chart> {
    if let Ok(chart) = Chart::from_archive(bytes) {
        return Ok(chart);
    }
    let tree = ferrite_artifact::unpack(bytes, &ferrite_artifact::Limits::default())?;
    Ok(Chart::from_tree(&tree, &TreePath::new(".")?)?)
}

/// Fetches an artifact: a Service of the cluster through the API server's proxy, anything else directly.
async fn download(session: &Session, url: &str) -> Result<Vec<u8>> {
    let parsed: reqwest::Url = url.parse()?;
    let host = parsed.host_str().unwrap_or_default();
    if let Some((service, namespace)) = service(host) {
        let path =
            format!("/api/v1/namespaces/{namespace}/services/http:{service}:http/proxy{}", parsed.path());
        let request = http::Request::get(path).body(Vec::new())?;
        let text = session.client.request_stream(request).await.map_err(plain)?;
        return bounded(text).await;
    }
    let mut response = reqwest::get(parsed).await?.error_for_status()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > CHART_BYTES {
            bail!("it has more than {CHART_BYTES} bytes");
        }
    }
    Ok(bytes)
}

async fn bounded(stream: impl futures::AsyncBufRead) -> Result<Vec<u8>> {
    use futures::AsyncReadExt as _;
    let mut bytes = Vec::new();
    let limit = u64::try_from(CHART_BYTES)?.saturating_add(1);
    std::pin::pin!(stream).take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() > CHART_BYTES {
        bail!("it has more than {CHART_BYTES} bytes");
    }
    Ok(bytes)
}

/// Service and namespace of `service.namespace.svc…`.
fn service(host: &str) -> Option<(&str, &str)> {
    let mut labels = host.split('.');
    let (service, namespace) = (labels.next()?, labels.next()?);
    (labels.next() == Some("svc")).then_some((service, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_from_other_hosts() {
        assert_eq!(
            service("source-controller.flux-system.svc.cluster.local."),
            Some(("source-controller", "flux-system"))
        );
        assert_eq!(service("127.0.0.1"), None);
        assert_eq!(service("charts.example.com"), None);
    }
}
