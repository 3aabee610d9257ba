//! The index of a Helm repository: read from YAML or JSON while it streams in, written as sorted JSON.
//!
//! Rules are Helm's (`repo.loadIndex`, `chart.Metadata.Validate`) as source-controller applies them.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use ferrite_semver::{Constraint, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// YAML events of one index; the largest public ones have about six million.
const EVENT_LIMIT: usize = 20_000_000;

/// What charts a repository has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    #[serde(default)]
    pub(crate) api_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generated: Option<String>,
    #[serde(default)]
    pub(crate) entries: BTreeMap<String, Vec<ChartVersion>>,
}

/// One version of a chart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ChartVersion {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) app_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) kube_version: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) home: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) icon: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deprecated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dependencies: Vec<Value>,
    pub(crate) urls: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) digest: String,
}

/// An index as it comes, before anything is known of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    generated: Option<String>,
    #[serde(default)]
    entries: Option<BTreeMap<String, Option<Vec<Option<ChartVersion>>>>>,
}

/// Why an index cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Neither YAML nor JSON of an index.
    #[error("failed to parse the index: {problem}")]
    Syntax {
        /// What is wrong and where.
        problem: String,
    },
    /// `apiVersion` is missing.
    #[error("no API version specified")]
    NoApiVersion,
    /// There is nothing.
    #[error("empty index.yaml file")]
    Empty,
    /// No version of the chart fits.
    #[error("no '{chart}' chart with version matching '{version}' found")]
    NoVersion {
        /// The chart.
        chart: String,
        /// The version or range asked for.
        version: String,
    },
    /// There is no such chart.
    #[error("no chart name found")]
    NoChart {
        /// The chart.
        chart: String,
    },
    /// The range is none.
    #[error("invalid chart version '{version}': {problem}")]
    Range {
        /// The range.
        version: String,
        /// What is wrong.
        problem: String,
    },
}

impl Index {
    /// Reads an index. Null and invalid entries are left out; versions are sorted, the newest first.
    pub(crate) fn read(mut source: impl Read, size: u64) -> Result<Self, IndexError> {
        if size == 0 {
            return Err(IndexError::Empty);
        }
        let syntax = |problem: String| IndexError::Syntax { problem: problem.chars().take(1024).collect() };
        let mut first = [0; 1];
        source.read_exact(&mut first).map_err(|error| syntax(error.to_string()))?;
        let source = std::io::BufReader::with_capacity(64 << 10, first.as_slice().chain(source));
        let raw: Raw = if first == *b"{" {
            serde_json::from_reader(source).map_err(|error| syntax(error.to_string()))?
        } else {
            serde_saphyr::from_reader_with_options(source, options())
                .map_err(|error| syntax(error.to_string()))?
        };
        let api_version =
            raw.api_version.filter(|version| !version.is_empty()).ok_or(IndexError::NoApiVersion)?;
        let entries = raw.entries.unwrap_or_default().into_iter().map(|(name, versions)| {
            let mut versions: Vec<(Version, ChartVersion)> = versions
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .filter_map(|chart| chart.valid().map(|version| (version, chart)))
                .collect();
            versions.sort_by(|(left, _), (right, _)| right.cmp(left));
            (name, versions.into_iter().map(|(_, chart)| chart).collect())
        });
        Ok(Self { api_version: Some(api_version), generated: raw.generated, entries: entries.collect() })
    }

    /// The index of one chart, of which nothing is known but its versions.
    pub(crate) fn of_versions(chart: &str, versions: impl Iterator<Item = String>) -> Self {
        let one = |version| ChartVersion { name: chart.to_owned(), version, ..ChartVersion::default() };
        let entries = BTreeMap::from([(chart.to_owned(), versions.map(one).collect())]);
        Self { api_version: None, generated: None, entries }
    }

    /// Writes the index as source-controller stores it: JSON with two blanks a level.
    pub(crate) fn write(&self, out: impl Write) -> Result<(), std::io::Error> {
        serde_json::to_writer_pretty(out, self).map_err(Into::into)
    }

    /// The version of `chart` that `wanted` means: that very version, or else the highest in the range.
    ///
    /// Of versions that differ in build metadata only, the one created last is meant.
    pub(crate) fn get(&self, chart: &str, wanted: &str) -> Result<&ChartVersion, IndexError> {
        let none = || IndexError::NoChart { chart: chart.to_owned() };
        let versions = self.entries.get(chart).filter(|versions| !versions.is_empty()).ok_or_else(none)?;
        if let Some(exact) = versions.iter().find(|one| one.version == wanted) {
            return Ok(exact);
        }
        let range = if wanted.is_empty() { "*" } else { wanted };
        let range = Constraint::parse(range).map_err(|error| IndexError::Range {
            version: wanted.chars().take(256).collect(),
            problem: error.to_string(),
        })?;
        let mut best: Option<(Version, &ChartVersion)> = None;
        for one in versions {
            let Ok(version) = Version::parse(&one.version) else { continue };
            if !range.matches(&version) {
                continue;
            }
            let better = best.as_ref().is_none_or(|(have, chart)| {
                version > *have || version == *have && one.created > chart.created
            });
            if better {
                best = Some((version, one));
            }
        }
        let found = best.map(|(_, chart)| chart);
        found.ok_or_else(|| IndexError::NoVersion { chart: chart.to_owned(), version: wanted.to_owned() })
    }
}

impl ChartVersion {
    /// The version when Helm would accept the entry.
    fn valid(&self) -> Option<Version> {
        let plain = !self.name.is_empty()
            && !self.name.contains(['/', '\\'])
            && self.name != "."
            && self.name != "..";
        let kind = matches!(self.kind.as_str(), "" | "application" | "library");
        if plain && kind && !self.api_version.is_empty() { Version::parse(&self.version).ok() } else { None }
    }
}

fn options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    let mut budget = serde_saphyr::Budget::default();
    // The bound on bytes is that of the download.
    budget.max_reader_input_bytes = None;
    budget.max_events = EVENT_LIMIT;
    budget.max_nodes = EVENT_LIMIT;
    budget.max_total_scalar_bytes = usize::MAX;
    budget.max_depth = 64;
    options.alias_limits.max_total_replayed_events = 100_000;
    options.budget = Some(budget);
    options.with_snippet = false;
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Index, IndexError> {
        Index::read(text.as_bytes(), text.len() as u64)
    }

    const YAML: &str = "
apiVersion: v1
generated: \"2026-01-01T00:00:00Z\"
entries:
  app:
  - {name: app, version: 1.2.0, apiVersion: v2, appVersion: 1.10, urls: [app-1.2.0.tgz], created: \"2026-01-01\"}
  - name: app
    version: 1.10.0
    apiVersion: v2
    urls:
    - https://other.test/app-1.10.0.tgz
    unknown: {x: [1, 2]}
  - {name: app, version: 2.0.0-rc.1, apiVersion: v2, urls: [x]}
  - {name: app, version: not a version, apiVersion: v2}
  - {name: ../app, version: 9.0.0, apiVersion: v2}
  - null
  build:
  - {name: build, version: 1.0.0+a, apiVersion: v1, urls: [a], created: \"2026-01-01\"}
  - {name: build, version: 1.0.0+b, apiVersion: v1, urls: [b], created: \"2026-02-01\"}
  empty: null
";

    #[track_caller]
    fn check(chart: &str, version: &str, expect: &str) {
        let index = read(YAML).unwrap();
        let found =
            index.get(chart, version).map_or_else(|error| error.to_string(), |one| one.version.clone());
        assert_eq!(found, expect, "{chart} {version}");
    }

    #[test]
    fn versions_are_chosen_as_flux_does() {
        check("app", "*", "1.10.0");
        check("app", "", "1.10.0");
        check("app", "1.2.x", "1.2.0");
        check("app", "1.2.0", "1.2.0");
        check("app", ">=2.0.0-0", "2.0.0-rc.1");
        check("build", "1.x", "1.0.0+b");
        check("build", "1.0.0+a", "1.0.0+a");
        check("app", "^3", "no 'app' chart with version matching '^3' found");
        check("none", "*", "no chart name found");
        check("empty", "*", "no chart name found");
    }

    #[test]
    fn invalid_entries_are_left_out_and_the_newest_is_first() {
        let index = read(YAML).unwrap();
        let versions: Vec<_> = index.entries["app"].iter().map(|one| one.version.as_str()).collect();
        assert_eq!(versions, ["2.0.0-rc.1", "1.10.0", "1.2.0"]);
        assert_eq!(
            index.entries["app"][2].app_version, "1.10",
            "a version is a text, whatever it looks like"
        );
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let index = read(YAML).unwrap();
        let mut json = Vec::new();
        index.write(&mut json).unwrap();
        let text = String::from_utf8(json).unwrap();
        assert!(text.starts_with("{\n  \"apiVersion\": \"v1\",\n"), "{text}");
        assert_eq!(read(&text).unwrap(), index);
    }

    #[test]
    fn an_index_that_is_none_is_refused() {
        assert_eq!(read("").unwrap_err(), IndexError::Empty);
        assert_eq!(read("entries: {}").unwrap_err(), IndexError::NoApiVersion);
        for text in ["apiVersion: v1\nentries: [", "{\"apiVersion\": 1", "- a", "<html></html>"] {
            assert!(matches!(read(text), Err(IndexError::Syntax { .. })), "{text}");
        }
        let mut bomb = "apiVersion: v1\nl0: &l0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*l{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("l{level}: &l{level} [{aliases}]\n"));
        }
        assert!(read(&bomb).is_err(), "a billion laughs");
        assert!(read(&format!("apiVersion: v1\nx: {}", "[".repeat(10_000))).is_err());
    }
}
