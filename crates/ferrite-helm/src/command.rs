//! Helm's command line, as far as it changes nothing: `template`, `install --dry-run=client`, `lint`, `show` and
//! `dependency list`, and of stored releases `list`, `history`, `status` and `get`.
//!
//! Reading the disk and a cluster is left to a [`Host`], printing to the caller.

mod flags;
mod lint;
mod releases;
mod show;

use serde_json::{Map, Value};

use crate::{
    ApplyMethod, Chart, Error, KubeVersion, Request, check_installable, check_release_name, decode_values,
    glob, go_json, manifest, merge_values, render, set_values, strvals::Mode,
};
use flags::Flags;
pub use releases::{Query, Record};

/// What a command needs of the machine.
pub trait Host {
    /// The chart in a directory or an archive.
    ///
    /// # Errors
    ///
    /// Helm's message.
    fn chart(&self, reference: &str) -> Result<Chart, String>;

    /// The bytes of a file; `-` is standard input.
    ///
    /// # Errors
    ///
    /// What the system said.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The present, RFC 3339 with nanoseconds.
    fn now(&self) -> String;

    /// Stored releases of a cluster, in any order.
    ///
    /// # Errors
    ///
    /// What the API server said, or that there is no cluster to ask.
    fn records(&self, query: &Query) -> Result<Vec<Record>, String> {
        let _unused = query;
        Err("Kubernetes cluster unreachable: there is none to ask".to_owned())
    }
}

/// What a command prints, and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// 0 or 1.
    pub code: u8,
}

/// How a command failed.
pub(crate) struct Failure {
    message: String,
    /// Printed nevertheless.
    stdout: String,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { message, stdout: String::new() }
    }
}

impl Failure {
    /// What `template` makes of an error: once there is a release, Helm says where to look, or shows it.
    fn rendering(error: Error, debug: bool) -> Self {
        let hint = match &error {
            Error::Render(_) | Error::Manifest { .. } | Error::Incompatible(_) if !debug => {
                "\n\nUse --debug flag to render out invalid YAML"
            }
            _ => "",
        };
        let message = format!("{error}{hint}");
        match error {
            Error::Manifest { rendered, .. } if debug => Self { message, stdout: rendered },
            _ => message.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::rendering(error, false)
    }
}

const USAGE: &str = "\
Usage: helm COMMAND [flags], each with helm's own flags

  template [NAME] CHART                     print the manifests
  install [NAME] CHART --dry-run=client     print the release that would be made (-o json|yaml)
  lint [CHART...]                           look for mistakes
  show all|chart|crds|readme|values CHART   print files of a chart
  dependency list [CHART]                   declared dependencies, and whether they are there
  list                                      releases of a namespace (-A: of all)
  history RELEASE                           its revisions
  status RELEASE                            how it is, as stored
  get all|hooks|manifest|metadata|notes|values RELEASE
                                            what is stored of it
";

/// Runs a command line, without the program's name.
#[must_use]
pub fn run(args: &[String], host: &dyn Host) -> Output {
    let result = match args.split_first() {
        Some((command, rest)) => match command.as_str() {
            "help" | "--help" | "-h" => Ok(USAGE.to_owned()),
            "template" => template(rest, host),
            "install" => install(rest, host),
            "lint" => lint::run(rest, host),
            "show" | "inspect" => show::run(rest, host),
            "dependency" | "dep" | "dependencies" => show::dependencies(rest, host),
            other => releases::run(other, rest, host).unwrap_or_else(|| {
                Err(format!(
                    "unknown command {other:?}: expected template, install, lint, show, dependency, list, history, status or get"
                )
                .into())
            }),
        },
        None => Err("expected a command: template, install, lint, show, dependency, list, history, status or get".to_owned().into()),
    };
    match result {
        Ok(stdout) => Output { stdout, stderr: String::new(), code: 0 },
        Err(failure) => {
            Output { stdout: failure.stdout, stderr: format!("Error: {}\n", failure.message), code: 1 }
        }
    }
}

/// Name and chart of `NAME CHART`, `CHART` or `--generate-name CHART`.
fn name_and_chart<'f>(flags: &'f Flags, command: &str) -> Result<(String, &'f str), Failure> {
    let (name, chart) = match flags.arguments.as_slice() {
        [] => {
            return Err(format!(
                "\"helm {command}\" requires at least 1 argument\n\nUsage:  helm {command} [NAME] [CHART] [flags]"
            )
            .into());
        }
        [chart] => (None, chart.as_str()),
        [name, chart] => (Some(name.clone()), chart.as_str()),
        more => {
            return Err(format!(
                "expected at most two arguments, unexpected arguments: {}",
                more[2..].join(", ")
            )
            .into());
        }
    };
    let generate = flags.is_set("generate-name");
    let pattern = flags.last("name-template");
    let name = match (name, generate, pattern) {
        (Some(_), true, _) => {
            return Err("cannot set --generate-name and also specify a name".to_owned().into());
        }
        (Some(_), _, Some(_)) => {
            return Err("cannot set --name-template and also specify a name".to_owned().into());
        }
        (Some(name), ..) => name,
        (None, _, Some(pattern)) => name_from_template(pattern)?,
        (None, true, None) => {
            let base = chart.trim_end_matches('/').rsplit('/').next().unwrap_or(chart);
            format!("{}-1", base.split('.').next().unwrap_or(base))
        }
        (None, false, None) if command == "template" => "release-name".to_owned(),
        (None, false, None) => {
            return Err("must either provide a name or specify --generate-name".to_owned().into());
        }
    };
    Ok((name, chart))
}

fn name_from_template(pattern: &str) -> Result<String, Failure> {
    use ferrite_gotemplate::{Engine, Functions, Limits, MissingKey, Templates, Value, parse};
    let functions = Functions::sprig();
    let mut set = Templates::default();
    set.add(parse("name-template", pattern.as_bytes(), &functions).map_err(|e| e.to_string())?);
    let engine = Engine::new(functions, MissingKey::Default, Limits::default());
    let name = engine.execute(&set, "name-template", &Value::Nil).map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// The user's values: files first, then assignments by kind of flag, as Helm orders them.
pub(crate) fn user_values(flags: &Flags, host: &dyn Host) -> Result<Map<String, Value>, Failure> {
    let mut values = Map::new();
    for path in flags.list("values") {
        let bytes = host.read(&path).map_err(Failure::from)?;
        let text = String::from_utf8_lossy(&bytes);
        let read = decode_values(&text).map_err(|e| format!("failed to parse {path}: {e}"))?;
        merge_values(&mut values, read);
    }
    let assign = |values: &mut Map<String, Value>, flag: &str, text: &str, mode: Mode| {
        set_values(text, values, mode)
            .map_err(|e| Failure::from(format!("failed parsing --{flag} data: {e}")))
    };
    for text in flags.all("set-json") {
        let trimmed = text.trim_start();
        if trimmed.starts_with('{') {
            let mut whole: Value = serde_json::from_str(trimmed)
                .map_err(|_| format!("failed parsing --set-json data JSON: {text}"))?;
            crate::go_yaml::floats(&mut whole);
            if let Value::Object(entries) = whole {
                merge_values(&mut values, entries);
            }
        } else {
            assign(&mut values, "set-json", text, Mode::Json)?;
        }
    }
    for (flag, mode) in [("set", Mode::Typed), ("set-string", Mode::Strings)] {
        for text in flags.all(flag) {
            assign(&mut values, flag, text, mode)?;
        }
    }
    for text in flags.all("set-file") {
        let (key, path) = text
            .split_once('=')
            .ok_or_else(|| format!("failed parsing --set-file data: key {text:?} has no value"))?;
        let bytes = host.read(path).map_err(|e| format!("failed parsing --set-file data: {e}"))?;
        let literal = format!("{key}={}", String::from_utf8_lossy(&bytes));
        assign(&mut values, "set-file", &literal, Mode::Literal)?;
    }
    for text in flags.all("set-literal") {
        assign(&mut values, "set-literal", text, Mode::Literal)?;
    }
    Ok(values)
}

fn request(flags: &Flags, name: &str) -> Result<Request, Failure> {
    let namespace = flags.last("namespace").unwrap_or("default");
    let mut request = Request::install(name, namespace);
    request.release.is_upgrade = flags.is_set("is-upgrade");
    request.include_crds = flags.is_set("include-crds") && !flags.is_set("skip-crds");
    request.skip_schema = flags.is_set("skip-schema-validation");
    request.hide_secrets = flags.is_set("hide-secret");
    request.sub_notes = flags.is_set("render-subchart-notes");
    if let Some(version) = flags.last("kube-version") {
        request.capabilities.kube_version = KubeVersion::parse(version)?;
    }
    request.capabilities.api_versions.extend(flags.list("api-versions"));
    Ok(request)
}

fn template(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = Flags::parse(args)?;
    let (name, chart) = name_and_chart(&flags, "template")?;
    let request = request(&flags, &name)?;
    let values = user_values(&flags, host)?;
    let chart = host.chart(chart)?;
    check_installable(&chart)?;
    check_release_name(&name)?;
    let debug = flags.is_set("debug");
    let rendered = render(&chart, &values, &request).map_err(|e| Failure::rendering(e, debug))?;
    let mut out = format!("{}\n", rendered.manifest.trim());
    if !flags.is_set("no-hooks") {
        for hook in &rendered.hooks {
            if !(flags.is_set("skip-tests") && hook.is_test()) {
                out.push_str(&format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest));
            }
        }
    }
    let wanted = flags.list("show-only");
    if wanted.is_empty() { Ok(out) } else { show_only(&out, &wanted) }
}

/// Only the documents of these files, in the order the files are named.
fn show_only(text: &str, wanted: &[String]) -> Result<String, Failure> {
    let documents = manifest::split(text);
    let path_of = |document: &str| {
        let (_, after) = document.split_once("# Source: ")?;
        let (_, path) = after.lines().next()?.split_once('/')?;
        Some(path.to_owned())
    };
    let mut out = String::new();
    for pattern in wanted {
        let mut missing = true;
        for document in &documents {
            if path_of(document).is_some_and(|path| glob::matches(pattern, &path) == Some(true)) {
                missing = false;
                out.push_str(&format!("---\n{document}\n"));
            }
        }
        if missing {
            return Err(format!("could not find template {pattern} in chart").into());
        }
    }
    Ok(out)
}

/// `install --dry-run=client`: the release that would be made.
fn install(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = Flags::parse(args)?;
    if flags.last("dry-run").is_none_or(|mode| mode == "none" || mode == "false") {
        return Err("installing needs a cluster; only --dry-run=client is done here".to_owned().into());
    }
    let (name, chart) = name_and_chart(&flags, "install")?;
    let request = request(&flags, &name)?;
    let values = user_values(&flags, host)?;
    let chart = host.chart(chart)?;
    check_installable(&chart)?;
    check_release_name(&name)?;
    let rendered = render(&chart, &values, &request)?;
    let mut release = rendered.into_release(&request.release, ApplyMethod::Server, &host.now());
    release.description = "Dry run complete".into();
    match flags.last("output") {
        Some("json") => Ok(go_json(&release.to_json()) + "\n"),
        Some("yaml") => Ok(ferrite_yaml::write(&release.to_json())),
        _ => Ok(summary(&release)),
    }
}

fn summary(release: &crate::Release) -> String {
    let mut out = format!(
        "NAME: {}\nLAST DEPLOYED: {}\nNAMESPACE: {}\nSTATUS: {}\nREVISION: {}\nDESCRIPTION: {}\n",
        release.name,
        release.last_deployed,
        release.namespace,
        release.status.as_str(),
        release.version,
        release.description
    );
    out.push_str("HOOKS:\n");
    for hook in &release.hooks {
        out.push_str(&format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest));
    }
    out.push_str(&format!("MANIFEST:\n{}\n", release.manifest));
    if !release.notes.is_empty() {
        out.push_str(&format!("NOTES:\n{}\n", release.notes.trim()));
    }
    out
}
