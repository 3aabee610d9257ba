//! House rules that a compiler does not know: layers, lints, workspace dependencies, file sizes.
//!
//! The layers are data in `hack/layers.toml`; everything else is read from `cargo metadata` and the files themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

/// Lines from which a source file is named in a warning, and from which it fails the check.
const WARN_LINES: usize = 600;
const FAIL_LINES: usize = 900;

#[derive(Deserialize)]
struct Layers {
    layers: BTreeMap<String, u8>,
    side: BTreeMap<String, Side>,
    #[serde(default)]
    same_layer: Vec<SameLayer>,
    #[serde(default)]
    restricted: Vec<Restricted>,
    #[serde(default)]
    long_files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Side {
    /// May use crates of layers lower than this one.
    below: u8,
}

#[derive(Deserialize)]
struct SameLayer {
    from: String,
    to: String,
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
struct Restricted {
    crates: Vec<String>,
    from_layer: u8,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// Checks every rule and prints all findings.
///
/// # Errors
///
/// When a rule is broken or the workspace cannot be read.
pub(crate) fn run() -> anyhow::Result<()> {
    let metadata = metadata()?;
    let root = &metadata.workspace_root;
    let path = root.join("hack/layers.toml");
    let layers: Layers = toml::from_str(&read(&path)?).with_context(|| path.display().to_string())?;
    let mut problems = Vec::new();
    for package in &metadata.packages {
        check_layers(package, &layers, &mut problems);
        check_manifest(package, &mut problems)?;
    }
    check_files(root, &layers, &mut problems)?;
    check_top_level(root, &mut problems)?;
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    bail!("{} problem(s)", problems.len())
}

fn metadata() -> anyhow::Result<Metadata> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn check_layers(package: &Package, layers: &Layers, problems: &mut Vec<String>) {
    let name = &package.name;
    let (layer, exclusive) = match (layers.layers.get(name), layers.side.get(name)) {
        (Some(layer), _) => (*layer, *layer),
        (None, Some(side)) => (side.below, side.below),
        (None, None) => {
            problems.push(format!("{name} is not in hack/layers.toml: give it a layer"));
            return;
        }
    };
    for dependency in package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")) {
        let used = &dependency.name;
        if let Some(below) = layers.layers.get(used)
            && *below >= exclusive
            && !layers.same_layer.iter().any(|edge| edge.from == *name && edge.to == *used)
        {
            problems.push(format!("{name} (layer {layer}) may not use {used} (layer {below})"));
        }
        if layers.side.contains_key(used) && layer < 5 {
            problems.push(format!("{name} may use {used} in [dev-dependencies] only"));
        }
        for rule in &layers.restricted {
            let is_side = layers.side.contains_key(name);
            if rule.crates.contains(used) && layer < rule.from_layer && !is_side {
                problems.push(format!(
                    "{name} (layer {layer}) may not use {used}: allowed from layer {}",
                    rule.from_layer
                ));
            }
        }
    }
}

fn check_manifest(package: &Package, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let text = read(&package.manifest_path)?;
    let manifest: toml::Table =
        toml::from_str(&text).with_context(|| package.manifest_path.display().to_string())?;
    let name = &package.name;
    let inherits = |table: Option<&toml::Value>| {
        table.and_then(|t| t.get("workspace")).and_then(toml::Value::as_bool).unwrap_or(false)
    };
    if !inherits(manifest.get("lints")) {
        problems.push(format!("{name}: Cargo.toml lacks `[lints] workspace = true`"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        for (dependency, value) in table {
            if !inherits(Some(value)) {
                problems.push(format!("{name}: [{section}] {dependency} must be `workspace = true`"));
            }
        }
    }
    Ok(())
}

fn check_files(root: &Path, layers: &Layers, problems: &mut Vec<String>) -> anyhow::Result<()> {
    for folder in ["crates", "tests"] {
        let mut pending = vec![root.join(folder)];
        while let Some(dir) = pending.pop() {
            for entry in fs_err::read_dir(&dir)? {
                let path = entry?.path();
                if path.is_dir() {
                    pending.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    check_source(root, &path, layers, problems)?;
                }
            }
        }
    }
    Ok(())
}

fn check_source(root: &Path, path: &Path, layers: &Layers, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    if matches!(stem, "utils" | "util" | "common" | "helpers" | "misc") {
        problems.push(format!("{shown}: a module says what it is about; `{stem}` does not"));
    }
    if stem == "mod" {
        problems.push(format!("{shown}: use `name.rs` beside the folder instead of mod.rs"));
    }
    let lines = read(path)?.lines().count();
    if lines > FAIL_LINES && !layers.long_files.contains_key(&shown) {
        problems.push(format!(
            "{shown} has {lines} lines: split it, or list it with a reason in hack/layers.toml"
        ));
    } else if lines > WARN_LINES {
        eprintln!("tidy: note: {shown} has {lines} lines (aim for 400)");
    }
    Ok(())
}

fn check_top_level(root: &Path, problems: &mut Vec<String>) -> anyhow::Result<()> {
    const ALLOWED: &[&str] = &[
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "Makefile",
        "README.md",
        "config",
        "crates",
        "crds",
        "docs",
        "hack",
        "target",
        "tests",
    ];
    for entry in fs_err::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !ALLOWED.contains(&name.as_str()) {
            problems.push(format!("`{name}` does not belong at the top level"));
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    Ok(fs_err::read_to_string(path)?)
}
