//! A chart in memory.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::metadata::Metadata;

/// A file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path below the chart's root.
    pub name: String,
    /// Content, without a byte order mark.
    pub data: Arc<[u8]>,
}

impl File {
    /// The content as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }
}

/// A chart with the charts it contains.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// `Chart.yaml`, and `requirements.yaml` of old charts.
    pub metadata: Metadata,
    /// `Chart.lock` or `requirements.lock`.
    pub lock: Option<Lock>,
    /// Files below `templates/`.
    pub templates: Vec<File>,
    /// Default values: `values.yaml`, every number a float. `None` without such a file.
    pub values: Option<Map<String, Value>>,
    /// `values.schema.json`.
    pub schema: Option<Arc<[u8]>>,
    /// All other files, `crds/` among them.
    pub files: Vec<File>,
    /// Every file as loaded, for showing.
    pub raw: Vec<File>,
    /// The charts below `charts/`, by name.
    pub dependencies: Vec<Self>,
}

/// `Chart.lock`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// When it was made, RFC 3339.
    pub generated: String,
    /// Digest of the declared dependencies.
    pub digest: String,
    /// What was resolved.
    pub dependencies: Vec<crate::metadata::Dependency>,
}

impl Chart {
    /// The name in `Chart.yaml`, or the alias it is used under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether this is a library, whose templates only define.
    #[must_use]
    pub fn is_library(&self) -> bool {
        self.metadata.kind == "library"
    }

    /// Files below `crds/` that hold custom resource definitions, this chart's first, with the path that names them.
    #[must_use]
    pub fn crds(&self) -> Vec<(String, &File)> {
        let mut crds = Vec::new();
        self.collect_crds(self.name(), &mut crds);
        crds
    }

    fn collect_crds<'c>(&'c self, path: &str, crds: &mut Vec<(String, &'c File)>) {
        crds.extend(self.own_crds().map(|file| (format!("{path}/{}", file.name), file)));
        for child in &self.dependencies {
            child.collect_crds(&format!("{path}/charts/{}", child.name()), crds);
        }
    }

    /// This chart's own files below `crds/`.
    pub(crate) fn own_crds(&self) -> impl Iterator<Item = &File> {
        let known = |name: &str| [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        self.files.iter().filter(move |file| file.name.starts_with("crds/") && known(&file.name))
    }

    /// A file as it was loaded.
    #[must_use]
    pub fn raw_file(&self, name: &str) -> Option<&File> {
        self.raw.iter().find(|file| file.name == name)
    }
}
