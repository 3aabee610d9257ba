//! `lint`: what is wrong with a chart, and what could be better.

mod objects;

use ferrite_semver::Version;

use super::{Failure, Host, flags::Flags, user_values};
use crate::{Chart, Error, Request, Strictness, functions, render};

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Info,
    Warning,
    Error,
}

/// One finding: `[ERROR] templates/: …`.
struct Finding {
    severity: Severity,
    path: String,
    text: String,
}

pub(super) fn run(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = Flags::parse(args)?;
    let references = if flags.arguments.is_empty() { vec![".".to_owned()] } else { flags.arguments.clone() };
    let values = user_values(&flags, host)?;
    let worst = if flags.is_set("strict") { Severity::Warning } else { Severity::Error };
    let (mut out, mut failed) = (String::new(), 0);
    for reference in &references {
        let findings = match host.chart(reference) {
            Ok(chart) => {
                let mut request =
                    Request::install("test-release", flags.last("namespace").unwrap_or("default"));
                request.skip_schema = flags.is_set("skip-schema-validation");
                if let Some(version) = flags.last("kube-version") {
                    request.capabilities.kube_version = crate::KubeVersion::parse(version)?;
                }
                {
                    let mut findings = chart_findings(&chart, &values, request);
                    findings.extend(dependency_findings(&chart, reference));
                    findings
                }
            }
            Err(error) => vec![finding(Severity::Error, "", format!("unable to load chart\n\t{error}"))],
        };
        let bad = findings.iter().any(|f| f.severity >= worst);
        failed += usize::from(bad);
        if flags.is_set("quiet") && !bad {
            continue;
        }
        out.push_str(&format!("==> Linting {reference}\n"));
        for f in &findings {
            let severity = match f.severity {
                Severity::Info => "INFO",
                Severity::Warning => "WARNING",
                Severity::Error => "ERROR",
            };
            out.push_str(&format!("[{severity}] {}: {}\n", f.path, f.text));
        }
        out.push('\n');
    }
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", references.len());
    if failed > 0 {
        return Err(Failure { message: summary, stdout: out });
    }
    Ok(format!("{out}{summary}\n"))
}

fn finding(severity: Severity, path: &str, text: impl Into<String>) -> Finding {
    Finding { severity, path: path.to_owned(), text: text.into() }
}

fn chart_findings(
    chart: &Chart,
    values: &serde_json::Map<String, serde_json::Value>,
    mut request: Request,
) -> Vec<Finding> {
    let mut findings = strict_findings(chart);
    let metadata = &chart.metadata;
    if metadata.icon.is_empty() {
        findings.push(finding(Severity::Info, "Chart.yaml", "icon is recommended"));
    }
    let strict =
        |text: &str| text.split('.').count() >= 3 && !text.starts_with('v') && Version::parse(text).is_ok();
    if !strict(&metadata.version) {
        let text = format!("version '{}' is not a valid SemVerV2", metadata.version);
        findings.push(finding(Severity::Warning, "Chart.yaml", text));
    }
    for maintainer in metadata.maintainers.iter().flatten() {
        if maintainer.name.is_empty() {
            findings.push(finding(Severity::Error, "Chart.yaml", "each maintainer requires a name"));
        }
    }
    if metadata.api_version == "v1"
        && (!metadata.kind.is_empty()
            || metadata.dependencies.is_some() && chart.raw_file("requirements.yaml").is_none())
    {
        let text = "type and dependencies in Chart.yaml need apiVersion v2";
        findings.push(finding(Severity::Error, "Chart.yaml", text));
    }
    if chart.raw_file("values.yaml").is_none() {
        findings.push(finding(Severity::Info, "values.yaml", "file does not exist"));
    }
    if chart.templates.is_empty() {
        findings.push(finding(Severity::Warning, "templates/", "directory does not exist"));
    }
    for template in &chart.templates {
        let extension = template.name.rsplit('.').next().unwrap_or_default();
        if !matches!(extension, "yaml" | "yml" | "tpl" | "txt") {
            let text = format!(
                "file extension '.{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"
            );
            findings.push(finding(Severity::Error, &template.name, text));
        }
    }
    request.options.strictness = Strictness::Lint;
    match render(chart, values, &request) {
        Ok(rendered) => findings.extend(objects::findings(&rendered, &request.capabilities.kube_version)),
        Err(error @ (Error::Values(_) | Error::Load(_))) => {
            findings.push(finding(Severity::Error, "values.yaml", error.to_string()));
        }
        Err(error) => {
            let text =
                error.to_string().replace(functions::MESSAGE_START, "").replace(functions::MESSAGE_END, "");
            let place = format!("YAML parse error on {}/", metadata.name);
            findings.push(match text.strip_prefix(&place).and_then(|rest| rest.split_once(": ")) {
                Some((path, why)) => finding(Severity::Error, path, format!("unable to parse YAML: {why}")),
                None => finding(Severity::Error, "templates/", text),
            });
        }
    }
    findings
}

/// Charts that are declared but not there, or there but not declared.
fn dependency_findings(chart: &Chart, reference: &str) -> Vec<Finding> {
    let declared: Vec<&str> = chart.metadata.declared().map(|d| d.name.as_str()).collect();
    let present: Vec<&str> = chart.dependencies.iter().map(Chart::name).collect();
    let less = |a: &[&str], b: &[&str]| -> Vec<String> {
        a.iter().filter(|name| !b.contains(name)).map(|name| (*name).to_owned()).collect()
    };
    [
        ("chart metadata is missing these dependencies", less(&present, &declared)),
        ("chart directory is missing these dependencies", less(&declared, &present)),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| finding(Severity::Error, reference, format!("{what}: {}", names.join(","))))
    .collect()
}

/// Fields of `Chart.yaml` that Helm knows.
const KNOWN: [&str; 17] = [
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];

/// What a strict reading of `Chart.yaml` says.
fn strict_findings(chart: &Chart) -> Vec<Finding> {
    let Some(file) = chart.raw_file("Chart.yaml") else { return Vec::new() };
    let Ok(serde_json::Value::Object(fields)) = crate::go_yaml::decode_exact(&file.text()) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut unknown: Vec<&String> = fields.keys().filter(|key| !KNOWN.contains(&key.as_str())).collect();
    unknown.sort();
    if let Some(field) = unknown.first() {
        let text = format!(
            "failed to strictly parse chart metadata file\n\terror unmarshaling JSON: while decoding JSON: json: unknown field {field:?}"
        );
        findings.push(finding(Severity::Warning, "Chart.yaml", text));
    }
    for key in ["version", "appVersion"] {
        if fields.get(key).is_some_and(serde_json::Value::is_number) {
            let text = format!("{key} should be of type string but it's of type float64");
            findings.push(finding(Severity::Error, "Chart.yaml", text));
        }
    }
    findings
}
