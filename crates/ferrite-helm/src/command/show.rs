//! `show` and `dependency list`.

use ferrite_semver::Constraint;

use super::{Failure, Host, flags::Flags};
use crate::{Chart, Dependency};

/// `show all|chart|values|readme|crds CHART`.
pub(super) fn run(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = Flags::parse(args)?;
    let [what, reference] = flags.arguments.as_slice() else {
        return Err("\"helm show\" requires two arguments\n\nUsage:  helm show [all|chart|crds|readme|values] [CHART]".to_owned().into());
    };
    let chart = host.chart(reference)?;
    let file = |name: &str| chart.raw_file(name).map(|file| file.text().into_owned());
    match what.as_str() {
        "chart" => Ok(metadata(&chart) + "\n"),
        "values" => Ok(file("values.yaml").map(|text| text + "\n").unwrap_or_default()),
        "readme" => Ok(readme(&chart).map(|text| text + "\n").unwrap_or_default()),
        "crds" => Ok(crds(&chart)),
        "all" => {
            let mut out = metadata(&chart) + "\n";
            if let Some(values) = file("values.yaml") {
                out.push_str(&format!("---\n{values}\n"));
            }
            if let Some(readme) = readme(&chart) {
                out.push_str(&format!("---\n{readme}\n"));
            }
            out.push_str(&crds(&chart));
            Ok(out)
        }
        other => Err(format!("cannot show {other:?}: expected all, chart, crds, readme or values").into()),
    }
}

fn metadata(chart: &Chart) -> String {
    ferrite_yaml::write(&chart.metadata.to_json())
}

fn readme(chart: &Chart) -> Option<String> {
    let known = ["readme.md", "readme.txt", "readme"];
    let file = chart.files.iter().find(|file| known.contains(&file.name.to_lowercase().as_str()))?;
    Some(file.text().into_owned())
}

fn crds(chart: &Chart) -> String {
    let mut out = String::new();
    for (_, file) in chart.crds() {
        let text = file.text();
        let lead = if text.starts_with("---") { "" } else { "---\n" };
        out.push_str(&format!("{lead}{text}\n"));
    }
    out
}

/// `dependency list CHART`.
pub(super) fn dependencies(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = Flags::parse(args)?;
    let reference = match flags.arguments.as_slice() {
        [verb] if matches!(verb.as_str(), "list" | "ls") => ".",
        [verb, reference] if matches!(verb.as_str(), "list" | "ls") => reference,
        _ => {
            return Err("expected: dependency list [CHART]; building and updating need a network"
                .to_owned()
                .into());
        }
    };
    let chart = host.chart(reference)?;
    let rows: Vec<[String; 4]> = chart.metadata.declared().map(|d| row(&chart, d)).collect();
    if rows.is_empty() {
        return Ok(format!("WARNING: no dependencies at {reference}/charts\n"));
    }
    let head = ["NAME", "VERSION", "REPOSITORY", "STATUS"].map(str::to_owned);
    let mut out = String::new();
    let table: Vec<&[String; 4]> = std::iter::once(&head).chain(&rows).collect();
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for row in &table {
        let cells = (0..4).map(|column| format!("{:<width$}", row[column], width = width(column)));
        out.push_str(&cells.collect::<Vec<_>>().join("\t"));
        out.push('\n');
    }
    out.push('\n');
    Ok(out)
}

fn row(chart: &Chart, dependency: &Dependency) -> [String; 4] {
    let found = chart.dependencies.iter().find(|child| child.name() == dependency.name);
    let status = match found {
        None => "missing",
        Some(_) if Constraint::parse(&dependency.version).is_err() => "invalid version",
        Some(child) if crate::dependencies::in_range(&dependency.version, &child.metadata.version) => {
            let packed = chart.raw.iter().any(|file| {
                file.name
                    .strip_prefix("charts/")
                    .is_some_and(|name| name.starts_with(&dependency.name) && name.ends_with(".tgz"))
            });
            if packed { "ok" } else { "unpacked" }
        }
        Some(_) => "wrong version",
    };
    [dependency.name.clone(), dependency.version.clone(), dependency.repository.clone(), status.to_owned()]
}
