//! Charts from directories and archives.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use ferrite_tree::{Kind, Tree, TreePath};
use serde_json::Value;

use crate::{
    chart::{Chart, File, Lock},
    error::Error,
    go_yaml, ignore,
    metadata::{self, Metadata},
};

/// Bytes of one file.
pub const MAX_FILE_BYTES: u64 = 5 << 20;

/// Bytes of all files of an archive together.
pub const MAX_CHART_BYTES: u64 = 100 << 20;

/// Files of one chart.
const MAX_FILES: usize = 100_000;

/// Charts within charts.
const MAX_DEPTH: usize = 32;

impl Chart {
    /// Loads the chart at `path` of a tree, minding its `.helmignore`.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] when a file is missing, too large, or wrong.
    pub fn from_tree(tree: &dyn Tree, path: &TreePath) -> Result<Self, Error> {
        let io = |e: ferrite_tree::Error| Error::Load(e.to_string());
        let ignore = path.join(".helmignore").map_err(io)?;
        let rules = match tree.stat(&ignore).map_err(io)? {
            Some(Kind::File) => {
                ignore::Rules::parse(&String::from_utf8_lossy(&tree.read(&ignore).map_err(io)?))?
            }
            _ => ignore::Rules::parse("")?,
        };
        let mut files = Vec::new();
        walk(tree, path, "", &rules, &mut files, 0)?;
        Self::from_files(files)
    }

    /// Loads a chart from the bytes of a gzipped tar archive.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] when it is no archive, leaves its root, is too large, or holds no chart.
    pub fn from_archive(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_files(unpack(bytes)?)
    }

    /// Makes a chart of files named by their path below the chart's root.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] with Helm's message.
    pub fn from_files(files: Vec<File>) -> Result<Self, Error> {
        load(files, 0)
    }
}

fn walk(
    tree: &dyn Tree,
    root: &TreePath,
    below: &str,
    rules: &ignore::Rules,
    files: &mut Vec<File>,
    depth: usize,
) -> Result<(), Error> {
    let io = |e: ferrite_tree::Error| Error::Load(e.to_string());
    if depth > 4 * MAX_DEPTH {
        return Err(Error::Load(format!("{below}: directories are nested too deeply")));
    }
    let here = if below.is_empty() { root.clone() } else { root.join(below).map_err(io)? };
    for entry in tree.list(&here).map_err(io)? {
        let name = if below.is_empty() { entry.name.clone() } else { format!("{below}/{}", entry.name) };
        let directory = entry.kind == Kind::Directory;
        if rules.ignores(&name, directory) {
            continue;
        }
        if directory {
            walk(tree, root, &name, rules, files, depth + 1)?;
            continue;
        }
        let data = tree.read(&root.join(&name).map_err(io)?).map_err(io)?;
        if data.len() as u64 > MAX_FILE_BYTES {
            let base = ferrite_gotemplate::quote(entry.name.as_bytes());
            return Err(Error::Load(format!(
                "chart file {base} is larger than the maximum file size {MAX_FILE_BYTES}"
            )));
        }
        if files.len() >= MAX_FILES {
            return Err(Error::Load(format!("a chart may have at most {MAX_FILES} files")));
        }
        files.push(File { name, data: without_mark(&data).into() });
    }
    Ok(())
}

fn without_mark(data: &[u8]) -> &[u8] {
    data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)
}

fn unpack(bytes: &[u8]) -> Result<Vec<File>, Error> {
    let fail = |text: String| Error::Load(text);
    if !bytes.starts_with(b"\x1f\x8b") {
        return Err(fail(
            "file does not appear to be a gzipped archive; got 'application/octet-stream'".into(),
        ));
    }
    let mut archive =
        tar::Archive::new(flate2::read::MultiGzDecoder::new(bytes).take(MAX_CHART_BYTES + (64 << 20)));
    let mut files = Vec::new();
    let mut total = 0;
    for entry in archive.entries().map_err(|e| fail(e.to_string()))? {
        let mut entry = entry.map_err(|e| fail(e.to_string()))?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || !kind.is_file() && !kind.is_contiguous() && !kind.is_gnu_sparse() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.replace('\\', "/");
        let Some((_, name)) = path.split_once('/') else {
            return Err(fail(if path == "Chart.yaml" {
                "chart yaml not in base directory".into()
            } else {
                format!(
                    "chart illegally contains content outside the base directory: {}",
                    ferrite_gotemplate::quote(path.as_bytes())
                )
            }));
        };
        let name = clean_name(name, &path)?;
        let mut data = Vec::new();
        entry.by_ref().take(MAX_FILE_BYTES + 1).read_to_end(&mut data).map_err(|e| fail(e.to_string()))?;
        if data.len() as u64 > MAX_FILE_BYTES {
            return Err(fail(format!(
                "decompressed chart file {} is larger than the maximum file size {MAX_FILE_BYTES}",
                ferrite_gotemplate::quote(path.as_bytes())
            )));
        }
        total += data.len() as u64;
        if total > MAX_CHART_BYTES || files.len() >= MAX_FILES {
            return Err(fail(format!(
                "decompressed chart is larger than the maximum size {MAX_CHART_BYTES}"
            )));
        }
        files.push(File { name, data: without_mark(&data).into() });
    }
    if files.is_empty() {
        return Err(fail("no files in chart archive".into()));
    }
    Ok(files)
}

fn clean_name(name: &str, path: &str) -> Result<String, Error> {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Error::Load("chart illegally references parent directory".into())),
            part => parts.push(part),
        }
    }
    let drive = path.chars().nth(1) == Some(':');
    if path.starts_with('/') || drive || parts.is_empty() {
        return Err(Error::Load("chart illegally contains absolute paths".into()));
    }
    Ok(parts.join("/"))
}

fn load(files: Vec<File>, depth: usize) -> Result<Chart, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Load("charts are nested too deeply".into()));
    }
    let mut chart = Chart::default();
    let mut seen = false;
    for file in files.iter().filter(|file| file.name == "Chart.yaml") {
        chart.metadata.read(&file.text()).map_err(|e| Error::Load(format!("cannot load Chart.yaml: {e}")))?;
        if chart.metadata.api_version.is_empty() {
            chart.metadata.api_version = "v1".into();
        }
        seen = true;
    }
    if depth == 0 && seen {
        match chart.metadata.api_version.as_str() {
            "v1" | "v2" => {}
            "v3" => return Err(Error::Load("invalid chart apiVersion".into())),
            _ => return Err(Error::Load("unsupported chart version".into())),
        }
    }
    let mut children: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in &files {
        seen |= place(&mut chart, file, &mut children)?;
    }
    if !seen {
        return Err(Error::Load("Chart.yaml file is missing".into()));
    }
    chart.metadata.validate()?;
    chart.raw = files;
    for (name, files) in children {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let child = child(chart.name(), &name, files, depth)
            .map_err(|e| Error::Load(format!("error unpacking subchart {name} in {}: {e}", chart.name())))?;
        chart.dependencies.push(child);
    }
    chart.dependencies.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(chart)
}

/// Puts a file where it belongs; true when it alone makes this a chart.
fn place(chart: &mut Chart, file: &File, children: &mut BTreeMap<String, Vec<File>>) -> Result<bool, Error> {
    let old = chart.metadata.api_version == "v1";
    match file.name.as_str() {
        "Chart.yaml" => {}
        "Chart.lock" => chart.lock = Some(lock(&file.text(), "Chart.lock")?),
        "values.yaml" => {
            let values = go_yaml::decode_values(&file.text())
                .map_err(|e| Error::Load(format!("cannot load values.yaml: {e}")))?;
            chart.values = Some(values);
        }
        "values.schema.json" => chart.schema = Some(file.data.clone()),
        "requirements.yaml" => {
            chart
                .metadata
                .read(&file.text())
                .map_err(|e| Error::Load(format!("cannot load requirements.yaml: {e}")))?;
            if old {
                chart.files.push(file.clone());
            }
            return Ok(true);
        }
        "requirements.lock" => {
            chart.lock = Some(lock(&file.text(), "requirements.lock")?);
            if old {
                chart.files.push(file.clone());
            }
        }
        name if name.starts_with("templates/") => chart.templates.push(file.clone()),
        name => match name.strip_prefix("charts/") {
            Some(_) if name.ends_with(".prov") => chart.files.push(file.clone()),
            Some(below) => {
                let first = below.split('/').next().unwrap_or(below).to_owned();
                children
                    .entry(first)
                    .or_default()
                    .push(File { name: below.to_owned(), data: file.data.clone() });
            }
            None => chart.files.push(file.clone()),
        },
    }
    Ok(false)
}

fn child(parent: &str, name: &str, files: Vec<File>, depth: usize) -> Result<Chart, Error> {
    if name.ends_with(".tgz") {
        return match files.first() {
            Some(file) if file.name == name => load(unpack(&file.data)?, depth + 1),
            Some(file) => Err(Error::Load(format!(
                "error unpacking subchart tar in {parent}: expected {name}, got {}",
                file.name
            ))),
            None => Err(Error::Load("no files in chart archive".into())),
        };
    }
    let inner = files.into_iter().filter_map(|file| {
        let (_, below) = file.name.split_once('/')?;
        Some(File { name: below.to_owned(), data: Arc::clone(&file.data) })
    });
    load(inner.collect(), depth + 1)
}

fn lock(text: &str, name: &str) -> Result<Lock, Error> {
    let fail = |e: String| Error::Load(format!("cannot load {name}: {e}"));
    let value = go_yaml::decode_exact(text).map_err(|e| fail(e.0))?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let items = value.get("dependencies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let dependencies = items.iter().map(metadata::dependency).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    Ok(Lock {
        generated: text("generated"),
        digest: text("digest"),
        dependencies: dependencies.into_iter().flatten().collect(),
    })
}

/// Reads a `Chart.yaml` on its own.
///
/// # Errors
///
/// [`Error::Load`] with Helm's message.
pub fn read_metadata(text: &str) -> Result<Metadata, Error> {
    let mut metadata = Metadata::default();
    metadata.read(text).map_err(|e| Error::Load(format!("cannot load Chart.yaml: {e}")))?;
    if metadata.api_version.is_empty() {
        metadata.api_version = "v1".into();
    }
    metadata.validate()?;
    Ok(metadata)
}
