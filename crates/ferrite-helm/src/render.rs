//! Renders every template of a chart and its subcharts.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use ferrite_gotemplate as go;
use go::{Engine, Map, MapKind, MissingKey, Templates, Value};

use crate::{
    capabilities::Capabilities,
    dependencies::Prepared,
    error::Error,
    functions::{self, Lookup, LookupFn, MESSAGE_END, MESSAGE_START, Strictness},
    objects,
};

/// Native stack of a render, in bytes: Helm allows a thousand nested includes. Only what is used becomes real memory.
const STACK_BYTES: usize = 256 << 20;

/// The part of the stack that templates may use.
const STACK_LIMIT_BYTES: usize = 224 << 20;

/// What `.Release` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseInfo {
    /// The release's name.
    pub name: String,
    /// The namespace it goes to.
    pub namespace: String,
    /// Its revision, from 1.
    pub revision: i64,
    /// Whether this is an upgrade or a rollback rather than an install.
    pub is_upgrade: bool,
}

/// How to render.
#[derive(Clone, Default)]
pub struct RenderOptions {
    /// Whether `required` and `fail` count.
    pub strictness: Strictness,
    /// The cluster that `lookup` asks; without one it finds nothing.
    pub lookup: Option<Arc<dyn Lookup>>,
    /// Bounds; the stack is chosen here.
    pub limits: go::Limits,
}

impl std::fmt::Debug for RenderOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenderOptions").field("strictness", &self.strictness).finish_non_exhaustive()
    }
}

/// Runs `work` on a thread with a stack deep enough for nested templates.
///
/// # Errors
///
/// When no thread can be made; what `work` returns otherwise.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let failed = |e: String| Error::Render(format!("cannot start the rendering thread: {e}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("helm-render".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|e| failed(e.to_string()))?;
        thread.join().map_err(|_| failed("it stopped unexpectedly".into()))?
    })
}

/// A template with the context it is rendered in.
struct Source<'c> {
    text: &'c [u8],
    context: Map,
    base: String,
}

/// Renders the files of a chart; the keys are their paths.
pub(crate) fn files(
    chart: &Prepared<'_>,
    values: &Map,
    release: &ReleaseInfo,
    capabilities: &Capabilities,
    options: &RenderOptions,
) -> Result<BTreeMap<String, String>, Error> {
    let release = Value::map([
        ("Name", release.name.as_str().into()),
        ("Namespace", Value::from(release.namespace.as_str())),
        ("Service", "Helm".into()),
        ("IsUpgrade", release.is_upgrade.into()),
        ("IsInstall", (!release.is_upgrade).into()),
        ("Revision", Value::Int(release.revision)),
    ]);
    let capabilities = objects::capabilities(capabilities);
    let root = Map::with(MapKind::Values, values.entries().clone());
    let mut sources = BTreeMap::new();
    let path = chart.metadata.name.clone();
    context(chart, &path, root, &release, &capabilities, true, &mut sources);

    let address = options
        .lookup
        .clone()
        .map(|lookup| -> functions::AddressFn { Rc::new(move |host: &str| lookup.address(host)) });
    let lookup = options.lookup.clone().map(adapt);
    let functions = functions::all(options.strictness, lookup, address);
    let mut order: Vec<&String> = sources.keys().collect();
    order.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.cmp(a)));
    let mut set = Templates::default();
    for name in &order {
        let Some(source) = sources.get(*name) else { continue };
        set.add(go::parse(name, source.text, &functions).map_err(|e| parse_error(name, &e))?);
    }
    let limits = go::Limits { stack: STACK_LIMIT_BYTES, ..options.limits };
    let engine = Engine::new(functions, MissingKey::Zero, limits);
    let mut rendered = BTreeMap::new();
    for name in order {
        let base = name.rsplit('/').next().unwrap_or(name);
        let Some(source) = sources.get(name).filter(|_| !base.starts_with('_')) else { continue };
        let place = Map::new(MapKind::Values);
        place.insert("Name", name.as_str().into());
        place.insert("BasePath", source.base.as_str().into());
        source.context.insert("Template", Value::Map(place));
        let out =
            engine.execute(&set, name, &Value::Map(source.context.clone())).map_err(|e| exec_error(&e))?;
        let text = String::from_utf8(without_no_value(out))
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        rendered.insert(name.clone(), text);
    }
    for source in sources.values() {
        crate::values::release(&source.context);
    }
    Ok(rendered)
}

fn depth(path: &str) -> usize {
    path.bytes().filter(|b| *b == b'/').count()
}

fn adapt(lookup: Arc<dyn Lookup>) -> LookupFn {
    Rc::new(move |[api, kind, namespace, name]| {
        let mut found = lookup.lookup(api, kind, namespace, name).map_err(go::Error::plain)?;
        crate::go_yaml::floats(&mut found);
        Ok(crate::values::to_template(&found))
    })
}

/// Builds the context of a chart and of those below it, and notes their templates.
fn context<'c>(
    chart: &Prepared<'c>,
    path: &str,
    values: Map,
    release: &Value,
    capabilities: &Value,
    root: bool,
    sources: &mut BTreeMap<String, Source<'c>>,
) -> Value {
    let subcharts = Map::default();
    for child in &chart.children {
        let name = child.metadata.name.as_str();
        let inner = match values.get(name.as_bytes()) {
            Some(Value::Map(inner)) => inner.converted(MapKind::Values),
            _ => Map::new(MapKind::Values),
        };
        let below = format!("{path}/charts/{name}");
        subcharts.insert(name, context(child, &below, inner, release, capabilities, false, sources));
    }
    let context = Map::default();
    context.insert("Chart", objects::chart(&chart.metadata, root));
    context.insert("Files", objects::Files::value(&chart.chart.files));
    context.insert("Release", release.clone());
    context.insert("Capabilities", capabilities.clone());
    context.insert("Values", Value::Map(values));
    context.insert("Subcharts", Value::Map(subcharts));
    for template in &chart.chart.templates {
        let base = template.name.rsplit('/').next().unwrap_or(&template.name);
        if chart.chart.is_library() && !base.starts_with('_') {
            continue;
        }
        sources.insert(
            format!("{path}/{}", template.name),
            Source {
                text: &template.data,
                context: context.converted(MapKind::Values),
                base: format!("{path}/templates"),
            },
        );
    }
    Value::Map(context)
}

/// Helm deletes what Go prints for a missing value, whoever wrote it.
pub(crate) fn without_no_value(text: Vec<u8>) -> Vec<u8> {
    const MARK: &[u8] = b"<no value>";
    if !text.windows(MARK.len()).any(|w| w == MARK) {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = &text[..];
    while let Some(first) = rest.first() {
        match rest.strip_prefix(MARK) {
            Some(after) => rest = after,
            None => {
                out.push(*first);
                rest = &rest[1..];
            }
        }
    }
    out
}

fn parse_error(file: &str, error: &go::Error) -> Error {
    let parts: Vec<&str> = error.text().split(": ").collect();
    Error::Render(match parts.as_slice() {
        [_, location, .., message] => format!("parse error at ({location}): {message}"),
        _ => format!("parse error in ({file}): {}", error.text()),
    })
}

/// Helm 4's rendering of an execution error: one block for each template on the way, when all links are understood.
fn exec_error(error: &go::Error) -> Error {
    let text = error.text();
    if error.kind() != go::ErrorKind::Exec {
        return Error::Render(text.to_owned());
    }
    let mut parts = text.splitn(3, ": ");
    let (Some(_), Some(location), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Error::Render(text.to_owned());
    };
    if let Some((_, after)) = rest.split_once(MESSAGE_START)
        && let Some((message, _)) = after.rsplit_once(MESSAGE_END)
    {
        return Error::Render(format!("execution error at ({location}): {message}"));
    }
    let mut blocks: Vec<String> = Vec::new();
    let mut current = Some(error);
    while let Some(link) = current {
        let Some(block) = block(link.text()) else {
            return Error::Render(text.to_owned());
        };
        if blocks.last() != Some(&block) {
            blocks.push(block);
        }
        current = link.cause();
    }
    Error::Render(blocks.concat().trim().to_owned())
}

/// `template: place: executing "name" at <node>: message` as three lines.
fn block(text: &str) -> Option<String> {
    let rest = text.strip_prefix("template: ")?;
    if rest.starts_with("no template ") {
        return Some(format!("{text}\n"));
    }
    match rest.split_once(": executing ") {
        Some((location, after)) => {
            let (name, after) = after.strip_prefix('"')?.split_once("\" at <")?;
            let (node, message) = after.split_once(">: ")?;
            // What a nested template said follows in a block of its own.
            let message = message.split_once(" template: ").map_or(message, |(own, _)| own);
            Some(format!("{location}\n  executing \"{name}\" at <{node}>:\n    {}\n", message.trim()))
        }
        None => {
            let (location, message) = rest.split_once(": ")?;
            Some(format!("{location}\n  {message}\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{block, without_no_value};

    #[test]
    fn missing_values_vanish() {
        assert_eq!(without_no_value(b"a<no value>b<no val<no value>".to_vec()), b"ab<no val");
    }

    #[test]
    fn errors_become_blocks() {
        let text = r#"template: c/t.yaml:1:6: executing "c/t.yaml" at <include "x" .>: error calling include: template: c/u.tpl:2:3: executing "x" at <.a.b>: nil pointer evaluating interface {}.b"#;
        assert_eq!(
            block(text).as_deref(),
            Some(
                "c/t.yaml:1:6\n  executing \"c/t.yaml\" at <include \"x\" .>:\n    error calling include:\n"
            )
        );
    }
}
