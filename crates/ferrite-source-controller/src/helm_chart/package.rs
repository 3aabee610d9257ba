//! From a chart's files to its archive: another version, merged values, or a directory as it is. Blocking, no network.

use std::sync::Arc;

use ferrite_artifact::{Bounds, Item, ItemKind, Rules, archive};
use ferrite_helm::{Chart, Dependency, File, merge_values};
use ferrite_semver::{Constraint, Version};
use ferrite_tree::{Kind, Tree, TreePath};
use ferrite_yaml::Dialect;
use serde_json::{Map, Value};

use super::Error;

/// Dependencies within each other that are taken from the source.
const DEPTH_LIMIT: usize = 16;

/// A chart's files, by their path below its root.
pub(super) type Files = Vec<File>;

/// The chart at `path` of a source: a directory with what `.helmignore` leaves, or a packaged chart.
pub(super) fn load(tree: &dyn Tree, path: &str) -> Result<Chart, Error> {
    let reference = |problem: String| Error::Path { path: path.to_owned(), problem };
    let place = TreePath::new(path.trim_start_matches('/')).map_err(|error| reference(error.to_string()))?;
    let broken = |error: ferrite_helm::Error| reference(error.to_string());
    match tree.stat(&place).map_err(|error| reference(error.to_string()))? {
        None => Err(reference("no such file or directory".to_owned())),
        Some(Kind::File) => {
            let bytes = tree.read(&place).map_err(|error| reference(error.to_string()))?;
            Chart::from_archive(&bytes).map_err(broken)
        }
        Some(Kind::Directory) => {
            let chart = Chart::from_tree(tree, &place).map_err(broken)?;
            with_local_dependencies(tree, &place, chart, 0)
        }
    }
}

/// What a chart declares that is not below `charts/`, by the versions of `Chart.lock` if there is one.
///
/// As in Flux, nothing is missing when there are as many charts as declared.
pub(super) fn missing(chart: &Chart) -> Vec<Dependency> {
    let wanted: Vec<&Dependency> = match &chart.lock {
        Some(lock) => lock.dependencies.iter().collect(),
        None => chart.metadata.declared().collect(),
    };
    if wanted.len() == chart.dependencies.len() {
        return Vec::new();
    }
    // Only Chart.yaml knows of aliases: the lock has names and versions.
    let vendored = |name: &str| chart.dependencies.iter().any(|vendored| vendored.name() == name);
    wanted.into_iter().filter(|dependency| !vendored(called(dependency))).cloned().collect()
}

/// The name that a dependency goes by in its parent.
pub(super) fn called(dependency: &Dependency) -> &str {
    if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias }
}

/// Whether a dependency is in the parent's own source.
pub(super) fn is_local(dependency: &Dependency) -> bool {
    dependency.repository.is_empty() || dependency.repository.starts_with("file://")
}

/// The files of `chart` below `charts/` of its parent, under the name that the parent calls it.
pub(super) fn placed(chart: &Chart, dependency: &Dependency) -> Result<Files, String> {
    let name = called(dependency);
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return Err("its name cannot be that of a directory".to_owned());
    }
    let range = Constraint::parse(&dependency.version)
        .map_err(|error| format!("invalid version/constraint format '{}': {error}", dependency.version))?;
    let version = Version::parse(&chart.metadata.version).map_err(|error| error.to_string())?;
    if !range.matches(&version) {
        return Err(format!("can't get a valid version for constraint '{}'", dependency.version));
    }
    let mut files: Files = chart.raw.clone();
    if chart.metadata.name != name {
        let mut metadata = chart.metadata.clone();
        name.clone_into(&mut metadata.name);
        files.retain(|file| file.name != "Chart.yaml");
        let text = ferrite_yaml::write(&metadata.to_json());
        files.push(File { name: "Chart.yaml".to_owned(), data: text.into_bytes().into() });
    }
    for file in &mut files {
        file.name = format!("charts/{name}/{}", file.name);
    }
    Ok(files)
}

/// Adds declared dependencies that lie in the same source; those below `charts/` are there already, and those of
/// repositories come when the chart is packaged.
fn with_local_dependencies(
    tree: &dyn Tree,
    place: &TreePath,
    chart: Chart,
    depth: usize,
) -> Result<Chart, Error> {
    let fail =
        |name: &str, problem: String| Error::Dependency { name: name.to_owned(), kind: "local", problem };
    let mut files = chart.raw.clone();
    let mut added = false;
    for dependency in missing(&chart).iter().filter(|dependency| is_local(dependency)) {
        let name = called(dependency);
        if depth >= DEPTH_LIMIT {
            return Err(fail(name, "dependencies lie too deep within each other".to_owned()));
        }
        let local = match dependency.repository.strip_prefix("file://") {
            Some(local) => local.to_owned(),
            None => format!("charts/{}", dependency.name),
        };
        let below = place.join(&local).map_err(|error| fail(name, error.to_string()))?;
        if tree.stat(&below).map_err(|error| fail(name, error.to_string()))?.is_none() {
            let reference = &dependency.repository;
            return Err(fail(name, format!("no chart found at '{below}' (reference '{reference}')")));
        }
        let found = match tree.stat(&below) {
            Ok(Some(Kind::File)) => {
                let bytes = tree.read(&below).map_err(|error| fail(name, error.to_string()))?;
                Chart::from_archive(&bytes).map_err(|error| fail(name, error.to_string()))?
            }
            _ => {
                let found = Chart::from_tree(tree, &below).map_err(|error| fail(name, error.to_string()))?;
                with_local_dependencies(tree, &below, found, depth + 1)?
            }
        };
        files.extend(placed(&found, dependency).map_err(|problem| fail(name, problem))?);
        added = true;
    }
    if added {
        Chart::from_files(files).map_err(|error| Error::Package(error.to_string()))
    } else {
        Ok(chart)
    }
}

/// Merges values files in their order; returns the merged values and the names of the files that were found.
///
/// `read` gives a file's bytes, or `None` when there is none.
pub(super) fn merged_values(
    names: &[String],
    ignore_missing: bool,
    mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, String>,
) -> Result<(Value, Vec<String>), Error> {
    let fail = |name: &str, problem: String| Error::Values { name: name.to_owned(), problem };
    let (mut merged, mut found) = (Map::new(), Vec::new());
    for name in names {
        let Some(bytes) = read(name).map_err(|problem| fail(name, problem))? else {
            if ignore_missing {
                continue;
            }
            return Err(fail(name, "no values file found at this path".to_owned()));
        };
        let text = String::from_utf8(bytes).map_err(|_| fail(name, "it is not UTF-8 text".to_owned()))?;
        let parsed = ferrite_yaml::parse(&text, &ferrite_yaml::Limits::default());
        let node = parsed.map_err(|error| fail(name, error.to_string()))?;
        let value = node.map(|node| node.to_json(Dialect::Yaml11)).transpose();
        match value.map_err(|error| fail(name, error.to_string()))? {
            None | Some(Value::Null) => {}
            Some(Value::Object(values)) => merge_values(&mut merged, values),
            Some(_) => return Err(fail(name, "expected a map of values".to_owned())),
        }
        found.push(name.clone());
    }
    Ok((Value::Object(merged), found))
}

/// A chart's archive, as Helm lays it out: everything below its name, with `version` and perhaps other values.
pub(super) fn package(chart: &Chart, version: &str, values: Option<&Value>) -> Result<Vec<u8>, Error> {
    let mut files: Files = chart.raw.clone();
    let mut replace = |name: &str, text: String| {
        files.retain(|file| file.name != name);
        files.push(File { name: name.to_owned(), data: text.into_bytes().into() });
    };
    if chart.metadata.version != version {
        let mut metadata = chart.metadata.clone();
        version.clone_into(&mut metadata.version);
        replace("Chart.yaml", ferrite_yaml::write(&metadata.to_json()));
    }
    if let Some(values) = values {
        replace("values.yaml", ferrite_yaml::write(values));
    }
    let items: Vec<Item<Arc<[u8]>>> = files
        .into_iter()
        .map(|file| Item {
            path: format!("{}/{}", chart.metadata.name, file.name),
            kind: ItemKind::File { executable: false },
            content: file.data,
        })
        .collect();
    let mut out = Vec::new();
    let read = |content: &Arc<[u8]>| Ok::<_, std::io::Error>(content.to_vec());
    let packed = archive(items, &Rules::none(), Bounds::default(), read, &mut out);
    packed.map_err(|error| Error::Package(ferrite_runtime::chain(&error)))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use ferrite_tree::MemoryTree;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> MemoryTree {
        let mut builder = MemoryTree::builder();
        for (path, text) in files {
            builder.insert(path, text.as_bytes(), false).unwrap();
        }
        builder.build()
    }

    fn packed(chart: &Chart, version: &str, values: Option<&Value>) -> Vec<(String, String)> {
        let bytes = package(chart, version, values).unwrap();
        let tree = ferrite_artifact::unpack(bytes.as_slice(), &ferrite_artifact::Limits::default()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        tree.files().map(|(path, bytes, _)| (path.to_owned(), text(bytes))).collect()
    }

    const CHART: &str = "apiVersion: v2\nname: app\nversion: 1.0.0\n";

    #[test]
    fn a_directory_is_packaged_without_what_helm_ignores() {
        let files = [
            ("charts/app/Chart.yaml", CHART),
            ("charts/app/.helmignore", "*.md\n"),
            ("charts/app/README.md", "x"),
            ("charts/app/values.yaml", "a: 1\n"),
            ("charts/app/templates/x.yaml", "kind: X\n"),
        ];
        let chart = load(&tree(&files), "./charts/app").unwrap();
        let names: Vec<String> = packed(&chart, "1.0.0", None).into_iter().map(|(name, _)| name).collect();
        assert!(
            names.contains(&"app/templates/x.yaml".to_owned())
                && !names.contains(&"app/README.md".to_owned())
        );
        let renamed = packed(&chart, "1.0.0+abc", None);
        let (_, text) = renamed.iter().find(|(name, _)| name == "app/Chart.yaml").unwrap();
        assert!(text.contains("version: 1.0.0+abc\n"), "{text}");
    }

    #[test]
    fn dependencies_in_the_source_come_along_and_others_are_named() {
        let parent = "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- {name: lib, version: 1.x, repository: \"file://../lib\"}\n";
        let lib = "apiVersion: v2\nname: lib\nversion: 1.0.0\n";
        let files =
            [("app/Chart.yaml", parent), ("lib/Chart.yaml", lib), ("lib/templates/l.yaml", "kind: L\n")];
        let chart = load(&tree(&files), "app").unwrap();
        let names: Vec<String> = packed(&chart, "1.0.0", None).into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"app/charts/lib/templates/l.yaml".to_owned()), "{names:?}");
        for (repository, problem) in [
            ("file://../../lib", "leads out of the root"),
            ("file://../none", "no chart found at 'none' (reference 'file://../none')"),
            ("", "no chart found at 'app/charts/lib' (reference '')"),
        ] {
            let parent = parent.replace("file://../lib", repository);
            let error = load(&tree(&[("app/Chart.yaml", &parent)]), "app").unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
        let remote = parent.replace("file://../lib", "https://charts.test");
        let chart = load(&tree(&[("app/Chart.yaml", &remote)]), "app").unwrap();
        let names = |chart: &Chart| missing(chart).into_iter().map(|one| one.version).collect::<Vec<_>>();
        assert_eq!(names(&chart), ["1.x"], "it comes when the chart is packaged");
        let lock = "dependencies:\n- {name: lib, version: 1.2.3, repository: https://charts.test}\n";
        let locked = load(&tree(&[("app/Chart.yaml", &remote), ("app/Chart.lock", lock)]), "app").unwrap();
        assert_eq!(names(&locked), ["1.2.3"]);
        let old = parent.replace("1.x", "^2");
        let files = [("app/Chart.yaml", old.as_str()), ("lib/Chart.yaml", lib)];
        let error = load(&tree(&files), "app").unwrap_err().to_string();
        assert_eq!(
            error,
            "dependency build error: failed to add local dependency 'lib': can't get a valid version for constraint '^2'"
        );
        let looped = parent.replace("name: lib", "name: app").replace("../lib", "../app");
        assert!(
            load(&tree(&[("app/Chart.yaml", &looped)]), "app").is_err(),
            "a chart that depends on itself"
        );
    }

    #[test]
    fn values_files_are_merged_in_order() {
        let files = [
            ("a.yaml", "x: {k: 1, z: [1, 2]}\nw: on\n"),
            ("b.yaml", "x: {z: [3]}\nv: '1'\n"),
            ("bad.yaml", "- 1\n"),
        ];
        let tree = tree(&files);
        let merge = |names: &[&str], ignore: bool| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            merged_values(&names, ignore, |name| {
                Ok(tree.files().find(|(path, ..)| *path == name).map(|(_, bytes, _)| bytes.to_vec()))
            })
        };
        let (values, found) = merge(&["a.yaml", "none.yaml", "b.yaml"], true).unwrap();
        assert_eq!(ferrite_yaml::write(&values), "v: \"1\"\nw: true\nx:\n  k: 1\n  z:\n  - 3\n");
        assert_eq!(found, ["a.yaml", "b.yaml"]);
        let missing = merge(&["none.yaml"], false).unwrap_err().to_string();
        assert_eq!(missing, "values files merge error: 'none.yaml': no values file found at this path");
        assert!(merge(&["bad.yaml"], false).unwrap_err().to_string().ends_with("expected a map of values"));
    }

    #[test]
    fn paths_that_lead_nowhere_are_told() {
        let tree = tree(&[("app/Chart.yaml", CHART)]);
        for (path, problem) in [("none", "no such file"), ("../x", "leads out"), ("app/Chart.yaml", "")] {
            let error = load(&tree, path).unwrap_err().to_string();
            assert!(error.starts_with("invalid chart reference: ") && error.contains(problem), "{error}");
        }
    }
}
