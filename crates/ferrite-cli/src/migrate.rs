//! `ferrite migrate`: objects to the versions that are stored today, in a cluster or in files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::installed::{PART_OF, definitions};
use crate::kinds::ALL;
use crate::objects::plain;
use crate::say;
use crate::session::{Global, Session};
use crate::uninstall::confirm;

/// Directories within each other.
const DEPTH: usize = 100;

/// Options of `ferrite migrate`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Directory or file whose manifests are rewritten; without, the objects of the cluster are.
    #[arg(short = 'f', long)]
    path: Option<PathBuf>,
    /// Names that manifests end in.
    #[arg(short, long, value_delimiter = ',', default_values_t = [".yaml".to_owned(), ".yml".to_owned()])]
    extensions: Vec<String>,
    /// Accepted for scripts written for flux: the versions are always the newest.
    #[arg(id = "flux_version", short = 'v', long = "flux-version", hide = true)]
    version: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Migrates.
///
/// # Errors
///
/// When an object or a file cannot be written.
pub(crate) async fn run(global: &Global, options: &Options) -> Result<()> {
    match &options.path {
        Some(path) => files(path, options),
        None => cluster(&global.session().await?, options.dry_run).await,
    }
}

async fn cluster(session: &Session, dry_run: bool) -> Result<()> {
    say::action("starting migration of custom resources");
    let all = definitions(session).list(&ListParams::default().labels(PART_OF)).await.map_err(plain)?;
    for definition in all {
        let name = definition.name_any();
        let versions = definition.data.pointer("/spec/versions").and_then(Value::as_array);
        let stored =
            versions.into_iter().flatten().find(|version| version.get("storage") == Some(&Value::Bool(true)));
        let stored = stored.and_then(|version| version.get("name")).and_then(Value::as_str);
        let stored = stored.with_context(|| format!("no storage version found for CRD {name}"))?;
        let listed = definition.data.pointer("/status/storedVersions").cloned().unwrap_or_default();
        if listed == json!([stored]) {
            continue;
        }
        objects(session, &definition.data, stored, dry_run)
            .await
            .with_context(|| format!("failed to migrate resources for CRD {name}"))?;
        let params = PatchParams { dry_run, ..PatchParams::default() };
        let patch = Patch::Merge(json!({"status": {"storedVersions": [stored]}}));
        definitions(session).patch_status(&name, &params, &patch).await.map_err(plain)?;
        say::success(format!(
            "{name} migrated to storage version {stored}{}",
            if dry_run { " (dry run)" } else { "" }
        ));
    }
    say::success("custom resources migrated successfully");
    Ok(())
}

/// Writes every object of a definition as it is: the API server stores it in the storage version.
async fn objects(session: &Session, definition: &Value, version: &str, dry_run: bool) -> Result<()> {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let gvk = kube::api::GroupVersionKind::gvk(text("/spec/group"), version, text("/spec/names/kind"));
    let resource = kube::api::ApiResource::from_gvk_with_plural(&gvk, text("/spec/names/plural"));
    let all: Api<DynamicObject> = Api::all_with(session.client.clone(), &resource);
    for mut object in all.list(&ListParams::default()).await.map_err(plain)? {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        // Managers of versions that are gone would break the next apply.
        for entry in object.metadata.managed_fields.iter_mut().flatten() {
            entry.api_version = Some(resource.api_version.clone());
        }
        let api: Api<DynamicObject> = of(&session.client, &namespace, &resource);
        let params = PostParams { dry_run, ..PostParams::default() };
        api.replace(&name, &params, &object).await.map_err(plain)?;
        say::success(format!("{}/{namespace}/{name} migrated to version {version}", gvk.kind));
    }
    Ok(())
}

fn of(client: &Client, namespace: &str, resource: &kube::api::ApiResource) -> Api<DynamicObject> {
    if namespace.is_empty() {
        Api::all_with(client.clone(), resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, resource)
    }
}

fn files(path: &Path, options: &Options) -> Result<()> {
    let mut found = Vec::new();
    list(path, &options.extensions, &mut found, 0)?;
    let mut changed = Vec::new();
    for file in found {
        let text = fs_err::read_to_string(&file)?;
        let (new, lines) = rewrite(&text);
        for (line, old, new) in &lines {
            say::action(format!("{}:{line}: {old} -> {new}", file.display()));
        }
        if !lines.is_empty() {
            changed.push((file, new));
        }
    }
    if changed.is_empty() {
        say::success("no custom resources found that require migration");
        return Ok(());
    }
    if options.dry_run {
        return Ok(());
    }
    if !options.yes && !confirm(&format!("Are you sure you want to change {} files", changed.len()))? {
        bail!("aborting");
    }
    for (file, text) in &changed {
        fs_err::write(file, text)?;
        say::success(format!("{} migrated", file.display()));
    }
    Ok(())
}

fn list(path: &Path, extensions: &[String], found: &mut Vec<PathBuf>, depth: usize) -> Result<()> {
    if depth > DEPTH {
        bail!("{} is more than {DEPTH} directories deep", path.display());
    }
    let metadata = fs_err::symlink_metadata(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if metadata.is_dir() && name != ".git" {
        let mut entries: Vec<PathBuf> =
            fs_err::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        entries.sort();
        for entry in entries {
            list(&entry, extensions, found, depth + 1)?;
        }
    } else if metadata.is_file() && extensions.iter().any(|extension| name.ends_with(extension.as_str())) {
        found.push(path.to_owned());
    }
    Ok(())
}

/// The text with today's versions in its `apiVersion` lines, and those lines: number, before, after.
fn rewrite(text: &str) -> (String, Vec<(usize, String, String)>) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut out = String::with_capacity(text.len());
    let mut changed = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let new = version_in(line).and_then(|(group, version)| {
            let kind = kind_beside(&lines, index)?;
            let known = ALL.iter().find(|known| known.group == group && known.kind == kind)?;
            (known.version != version).then(|| (format!("{group}/{version}"), known.api_version()))
        });
        match new {
            Some((old, new)) => {
                out.push_str(&line.replacen(&old, &new, 1));
                changed.push((index + 1, old, new));
            }
            None => out.push_str(line),
        }
    }
    (out, changed)
}

/// The group and version of an `apiVersion` line of one of our kinds.
fn version_in(line: &str) -> Option<(&str, &str)> {
    let value = field(line, "apiVersion")?;
    value.split_once('/').filter(|(group, _)| {
        group.ends_with(".toolkit.fluxcd.io") || group.ends_with(".extensions.fluxcd.io")
    })
}

/// The value of a field in a line, without quotes and comments.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.trim_start().trim_start_matches("- ").trim_start().strip_prefix(name)?;
    let value = rest.strip_prefix(':')?.split(" #").next()?.trim();
    Some(value.trim_matches(['"', '\'']))
}

/// Where the field of a line begins: behind blanks and the dash of a list.
fn column(line: &str) -> usize {
    line.len() - line.trim_start().trim_start_matches("- ").trim_start().len()
}

/// The `kind` of the same mapping as the line.
fn kind_beside<'a>(lines: &[&'a str], index: usize) -> Option<&'a str> {
    let own = column(lines.get(index)?);
    let ends = |line: &&&str| line.starts_with("---") || (!line.trim().is_empty() && column(line) < own);
    let after = lines.iter().skip(index + 1).take_while(|line| !ends(line));
    let before = lines.iter().take(index).rev().take_while(|line| !ends(line));
    after.chain(before).filter(|line| column(line) == own).find_map(|line| field(line, "kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_our_kinds_are_rewritten() {
        let text = "apiVersion: helm.toolkit.fluxcd.io/v2beta1 # old\nkind: HelmRelease\nspec:\n  x: 1\n---\nkind: Receiver\napiVersion: \"notification.toolkit.fluxcd.io/v1beta2\"\n---\napiVersion: notification.toolkit.fluxcd.io/v1beta2\nkind: Alert\n---\napiVersion: apps/v1beta1\nkind: Deployment\n";
        let (new, changed) = rewrite(text);
        assert_eq!(
            new,
            "apiVersion: helm.toolkit.fluxcd.io/v2 # old\nkind: HelmRelease\nspec:\n  x: 1\n---\nkind: Receiver\napiVersion: \"notification.toolkit.fluxcd.io/v1\"\n---\napiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Alert\n---\napiVersion: apps/v1beta1\nkind: Deployment\n"
        );
        assert_eq!(changed.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [1, 7, 9]);
        assert_eq!(rewrite(&new).1, [], "nothing is left to do");
    }
}
