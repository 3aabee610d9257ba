//! `ferrite push|pull|list|tag|diff|build artifact`: manifests as OCI artifacts, as `flux` makes them.

mod archive;
mod reference;
mod registry;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use ferrite_artifact::{Algorithm, Digest};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::output::{self, Encoding};
use crate::say;
use crate::session::Global;
use crate::table::table;

use reference::Reference;
use registry::{Access, Registry};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
const CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
const CREATED: &str = "org.opencontainers.image.created";
const SOURCE: &str = "org.opencontainers.image.source";
const REVISION: &str = "org.opencontainers.image.revision";

/// How the registry is spoken to.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Login {
    /// Credentials, as user[:password]. Default: those of the Docker configuration.
    #[arg(long)]
    creds: Option<String>,
    /// Without TLS.
    #[arg(long)]
    insecure_registry: bool,
    /// Whose credentials are used.
    #[arg(long, default_value = "generic", value_parser = ["generic"])]
    provider: String,
}

/// Options of `ferrite push artifact`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Push {
    /// oci://registry/repository:tag.
    url: String,
    /// Directory or file with the manifests; - reads manifests from standard input.
    #[arg(short = 'f', long)]
    path: String,
    /// Where the manifests are from, as the address of the repository.
    #[arg(long)]
    source: String,
    /// Their revision, as main@sha1:….
    #[arg(long)]
    revision: String,
    /// More annotations, as key=value.
    #[arg(short = 'a', long)]
    annotations: Vec<String>,
    /// Patterns of files to leave out.
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
    /// Say that it was made in 1970, so that equal files are equal artifacts.
    #[arg(long)]
    reproducible: bool,
    /// Print as JSON or YAML.
    #[arg(short, long)]
    output: Option<Encoding>,
    #[command(flatten)]
    login: Login,
}

/// Options of `ferrite pull artifact`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Pull {
    /// oci://registry/repository:tag.
    url: String,
    /// Directory to unpack into.
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    login: Login,
}

/// Options of `ferrite list artifacts`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct List {
    /// oci://registry/repository.
    url: String,
    /// Tags in this range of versions only.
    #[arg(long)]
    filter_semver: Option<String>,
    /// Print as JSON or YAML.
    #[arg(short, long)]
    output: Option<Encoding>,
    #[command(flatten)]
    login: Login,
}

/// Options of `ferrite tag artifact`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Tag {
    /// oci://registry/repository:tag.
    url: String,
    /// More tags for it.
    #[arg(long, value_delimiter = ',', required = true)]
    tag: Vec<String>,
    #[command(flatten)]
    login: Login,
}

/// Options of `ferrite diff artifact`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Diff {
    /// oci://registry/repository:tag.
    url: String,
    /// Directory or file to compare with.
    #[arg(long)]
    path: PathBuf,
    /// Patterns of files to leave out.
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
    #[command(flatten)]
    login: Login,
}

/// Options of `ferrite build artifact`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Build {
    /// Directory or file with the manifests.
    #[arg(short, long)]
    path: PathBuf,
    /// File to write.
    #[arg(short, long, default_value = "artifact.tgz")]
    output: PathBuf,
    /// Patterns of files to leave out.
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
}

/// Writes an archive.
///
/// # Errors
///
/// When a file cannot be read or written.
pub(crate) fn build(options: &Build) -> Result<()> {
    say::action(format!("building artifact from {}", options.path.display()));
    fs_err::write(&options.output, archive::of(&options.path, &options.ignore_paths)?.gzip)?;
    say::success(format!("artifact created at {}", options.output.display()));
    Ok(())
}

async fn connect(global: &Global, login: &Login, url: &str, push: bool) -> Result<(Registry, Reference)> {
    let reference = Reference::parse(url)?;
    if login.creds.is_some() {
        say::action("logging in to registry with credentials");
    }
    let access = Access {
        credentials: match &login.creds {
            Some(pair) => Some(registry::pair(pair)),
            None => registry::docker_login(&reference.host)?,
        },
        insecure: login.insecure_registry,
        push,
        timeout: global.timeout.0,
    };
    Ok((Registry::connect(&reference, &access).await?, reference))
}

/// Pushes.
///
/// # Errors
///
/// When the files cannot be read, or the registry refuses them.
pub(crate) async fn push(global: &Global, options: &Push) -> Result<()> {
    let (registry, reference) = connect(global, &options.login, &options.url, true).await?;
    let tag = reference.tag.as_deref().context("name a tag: oci://registry/repository:tag")?;
    let layer = if options.path == "-" {
        archive::of_stdin()?
    } else {
        archive::of(PathBuf::from(&options.path).as_path(), &options.ignore_paths)?
    };
    if options.output.is_none() {
        say::action(format!("pushing artifact to {}", options.url.trim_start_matches("oci://")));
    }
    let now = if options.reproducible { Timestamp::UNIX_EPOCH } else { Timestamp::now() };
    let created = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let annotations = annotations(options, &created)?;
    let created = annotations.get(CREATED).cloned().unwrap_or(created);
    let config = config(&created, &layer.diff_id);
    let config_digest = registry.push_blob(&config).await?;
    let layer_digest = registry.push_blob(&layer.gzip).await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": config.len(), "digest": config_digest.to_string()},
        "layers": [{"mediaType": CONTENT, "size": layer.gzip.len(), "digest": layer_digest.to_string()}],
        "annotations": annotations,
    });
    let bytes = manifest.to_string().into_bytes();
    registry.push_manifest(tag, MANIFEST, &bytes).await?;
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let name = reference.name();
    match options.output {
        Some(encoding) => output::print(&encoding.text(&json!({
            "url": format!("oci://{name}@{digest}"), "repository": name, "tag": tag, "digest": digest.to_string(),
        }))),
        None => {
            say::success(format!("artifact successfully pushed to {name}@{digest}"));
            Ok(())
        }
    }
}

/// Sorted by key, as Go writes maps.
fn annotations(options: &Push, created: &str) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::from([
        (CREATED.to_owned(), created.to_owned()),
        (SOURCE.to_owned(), options.source.clone()),
        (REVISION.to_owned(), options.revision.clone()),
    ]);
    for annotation in &options.annotations {
        match annotation.split_once('=') {
            Some((key, value)) if !value.contains('=') => all.insert(key.to_owned(), value.to_owned()),
            _ => bail!("invalid annotation {annotation}, must be in the format key=value"),
        };
    }
    Ok(all)
}

/// The image configuration that `flux` writes, byte for byte.
fn config(created: &str, diff_id: &Digest) -> Vec<u8> {
    let mut config = Map::new();
    config.insert("architecture".to_owned(), "".into());
    config.insert("created".to_owned(), created.into());
    config.insert("history".to_owned(), json!([{"created": "0001-01-01T00:00:00Z"}]));
    config.insert("os".to_owned(), "".into());
    config.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": [diff_id.to_string()]}));
    config.insert("config".to_owned(), json!({}));
    Value::Object(config).to_string().into_bytes()
}

/// Pulls and unpacks.
///
/// # Errors
///
/// When there is no such artifact, it is not one of manifests, or a file cannot be written.
pub(crate) async fn pull(global: &Global, options: &Pull) -> Result<()> {
    if !options.output.is_dir() {
        bail!("invalid output path {}: it is not a directory", options.output.display());
    }
    let (registry, reference) = connect(global, &options.login, &options.url, false).await?;
    say::action(format!("pulling artifact from {}", options.url.trim_start_matches("oci://")));
    let (manifest, digest) = registry.manifest(reference.which()).await?;
    let bytes = registry.blob(&content(&manifest)?).await?;
    archive::unpack(&bytes, &options.output)?;
    let annotation =
        |key: &str| manifest.pointer("/annotations").and_then(|all| all.get(key)).and_then(Value::as_str);
    if let Some(source) = annotation(SOURCE).filter(|text| !text.is_empty()) {
        say::success(format!("source {source}"));
    }
    if let Some(revision) = annotation(REVISION).filter(|text| !text.is_empty()) {
        say::success(format!("revision {revision}"));
    }
    say::success(format!("digest {}@{digest}", reference.name()));
    say::success(format!("artifact content extracted to {}", options.output.display()));
    Ok(())
}

/// The digest of the layer with the manifests.
fn content(manifest: &Value) -> Result<String> {
    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_content = |layer: &&Value| layer.get("mediaType").is_some_and(|media| media == CONTENT);
    let layer = layers.iter().find(is_content).or_else(|| layers.first());
    let digest = layer.and_then(|layer| layer.get("digest")).and_then(Value::as_str);
    Ok(digest.context("the artifact has no layers")?.to_owned())
}

/// Lists the tags.
///
/// # Errors
///
/// When the registry refuses, or a filter cannot be understood.
pub(crate) async fn list(global: &Global, options: &List) -> Result<()> {
    let (registry, reference) = connect(global, &options.login, &options.url, false).await?;
    let range = options.filter_semver.as_deref().map(ferrite_semver::Constraint::parse).transpose()?;
    let mut rows = Vec::new();
    for tag in registry.tags().await? {
        // Signatures are no artifacts of their own.
        if tag.ends_with(".sig") || tag.ends_with(".att") || tag.ends_with(".sbom") {
            continue;
        }
        let fits = |range: &ferrite_semver::Constraint| {
            ferrite_semver::Version::parse(&tag).is_ok_and(|version| range.matches(&version))
        };
        if !range.as_ref().is_none_or(fits) {
            continue;
        }
        let (manifest, digest) = registry.manifest(&tag).await?;
        let annotation = |key: &str| {
            let all = manifest.get("annotations").and_then(|all| all.get(key)).and_then(Value::as_str);
            all.unwrap_or_default().to_owned()
        };
        rows.push(vec![
            format!("{}:{tag}", reference.name()),
            digest.to_string(),
            annotation(SOURCE),
            annotation(REVISION),
        ]);
    }
    let titles = ["artifact", "digest", "source", "revision"];
    let Some(encoding) = options.output else { return output::print(&table(&titles, &rows)) };
    let object = |row: &Vec<String>| {
        titles.iter().zip(row).map(|(title, cell)| ((*title).to_owned(), cell.as_str().into())).collect()
    };
    let all: Vec<Value> = rows.iter().map(|row| Value::Object(object(row))).collect();
    output::print(&encoding.text(&all.into()))
}

/// Gives an artifact more tags.
///
/// # Errors
///
/// When there is no such artifact, or the registry refuses.
pub(crate) async fn tag(global: &Global, options: &Tag) -> Result<()> {
    let (registry, reference) = connect(global, &options.login, &options.url, true).await?;
    say::action("tagging artifact");
    let (bytes, media_type) = registry.manifest_bytes(reference.which()).await?;
    for tag in &options.tag {
        registry.push_manifest(tag, &media_type, &bytes).await?;
        say::success(format!("artifact tagged as {}:{tag}", reference.name()));
    }
    Ok(())
}

/// Compares an artifact with files; true when they differ.
///
/// # Errors
///
/// When there is no such artifact, or a file cannot be read.
pub(crate) async fn diff(global: &Global, options: &Diff) -> Result<bool> {
    let (registry, reference) = connect(global, &options.login, &options.url, false).await?;
    let (manifest, _) = registry.manifest(reference.which()).await?;
    let theirs = archive::files(&registry.blob(&content(&manifest)?).await?)?;
    let ours = archive::files(&archive::of(&options.path, &options.ignore_paths)?.gzip)?;
    let mut paths: Vec<&String> = theirs.keys().chain(ours.keys()).collect();
    paths.sort();
    paths.dedup();
    let mut out = String::new();
    for path in paths {
        let what = match (theirs.get(path), ours.get(path)) {
            (Some(_), None) => "deleted",
            (None, Some(_)) => "created",
            (Some(theirs), Some(ours)) if theirs != ours => "changed",
            _ => continue,
        };
        out.push_str(&format!("► {path} {what}\n"));
    }
    if out.is_empty() {
        say::success("no changes detected");
        return Ok(false);
    }
    output::print(&out)?;
    Ok(true)
}
