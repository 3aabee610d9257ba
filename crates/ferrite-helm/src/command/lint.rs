//! `lint`: what is wrong with a chart, and what could be better.

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
                chart_findings(&chart, &values, request)
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
    let mut findings = Vec::new();
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
        Ok(rendered) => {
            for manifest in &rendered.manifests {
                if manifest.kind.is_empty()
                    && manifest
                        .content
                        .lines()
                        .any(|l| !l.trim_start().starts_with('#') && !l.trim().is_empty())
                {
                    findings.push(finding(Severity::Warning, &manifest.path, "object has no kind"));
                }
            }
        }
        Err(error @ (Error::Values(_) | Error::Load(_))) => {
            findings.push(finding(Severity::Error, "values.yaml", error.to_string()));
        }
        Err(error) => {
            let text =
                error.to_string().replace(functions::MESSAGE_START, "").replace(functions::MESSAGE_END, "");
            findings.push(finding(Severity::Error, "templates/", text));
        }
    }
    findings
}
