//! `ferrite version`: of this program and of the components in the cluster.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value};

use crate::installed::{self, installation};
use crate::output::{self, Encoding};
use crate::session::Global;

/// Options of `ferrite version`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Of this program only.
    #[arg(long)]
    client: bool,
    /// How to print.
    #[arg(short, long, default_value = "yaml")]
    output: Encoding,
}

/// The version of this program, as `v0.1.0`.
pub(crate) const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Prints the versions.
///
/// # Errors
///
/// When there is no component in the namespace, an image has no tag, or what the API server says.
pub(crate) async fn run(global: &Global, options: &Options) -> Result<()> {
    let mut versions = vec![("ferrite".to_owned(), VERSION.to_owned())];
    if !options.client {
        let session = global.session().await?;
        if let Some(found) = installation(&session).await?.filter(|found| !found.distribution.is_empty()) {
            versions.push(("distribution".to_owned(), found.distribution));
        }
        let deployments = installed::deployments(&session).await?;
        if deployments.is_empty() {
            bail!("no deployments found in {} namespace", session.namespace);
        }
        let images = deployments.iter().flat_map(installed::images);
        let components: Result<BTreeMap<_, _>> = images.map(|image| split(&image)).collect();
        versions.extend(components?);
    }
    output::print(&match options.output {
        Encoding::Json => {
            let map: Map<String, Value> =
                versions.into_iter().map(|(name, version)| (name, version.into())).collect();
            format!("{:#}\n", Value::Object(map))
        }
        Encoding::Yaml => versions.iter().map(|(name, version)| format!("{name}: {version}\n")).collect(),
    })
}

/// The last part of an image's name, and its tag.
fn split(image: &str) -> Result<(String, String)> {
    let last = image.rsplit('/').next().unwrap_or(image);
    let (name, tag) = last.split_once(':').ok_or_else(|| anyhow!("missing image tag in image {image}"))?;
    Ok((name.to_owned(), tag.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_shown_by_name_and_tag() {
        let pair = |name: &str, tag: &str| Some((name.to_owned(), tag.to_owned()));
        assert_eq!(split("ghcr.io:443/ferrite/source-controller:v1").ok(), pair("source-controller", "v1"));
        assert_eq!(split("localhost:5000/a/b:v1@sha256:ab").ok(), pair("b", "v1@sha256:ab"));
        assert!(split("localhost:5000/a/b").is_err());
    }
}
