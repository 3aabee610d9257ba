//! `replacements`: values copied from one field to others.

use ferrite_yaml::{Data, Dialect, Error as Fault, Limits, Node, Position, Style, Tag};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::fieldpath::{Leaf, at, find, lookup, segments};
use crate::id::{Id, effective};
use crate::kustomization::{FieldOptions, ReplacementField, ReplacementSource, ReplacementTarget};
use crate::merge::explicit_tag;
use crate::resource::Resource;
use crate::schema::Types;
use crate::selector::Selector;
use crate::shared;

/// One replacement, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    source: Option<ReplacementSource>,
    value: Option<String>,
    targets: Vec<Target>,
    file: String,
    position: Position,
}

#[derive(Debug, Clone)]
struct Target {
    select: Option<Selector>,
    reject: Vec<Reject>,
    paths: Vec<String>,
    options: Option<FieldOptions>,
}

#[derive(Debug, Clone)]
struct Reject {
    selector: Selector,
    /// Says something about labels or annotations.
    by_pairs: bool,
    /// Says something about identity.
    by_id: bool,
}

impl Replacement {
    pub(crate) fn new(field: ReplacementField, file: &str) -> Result<Self> {
        let position = field.at;
        let fail = |error: Error| error.at(file, position);
        let targets = field.targets.unwrap_or_default();
        if targets.is_empty() || field.source.is_none() && field.source_value.is_none() {
            return Err(fail(Error::invalid("replacements must specify a source and at least one target")));
        }
        if field.source.is_some() && field.source_value.is_some() {
            return Err(fail(Error::invalid("value and resource selectors are mutually exclusive")));
        }
        Ok(Self {
            source: field.source,
            value: field.source_value,
            targets: targets
                .into_iter()
                .map(|target| Target::new(target).map_err(fail))
                .collect::<Result<_>>()?,
            file: file.to_owned(),
            position,
        })
    }

    pub(crate) fn apply(&self, list: &mut [Resource], types: &Types) -> Result<()> {
        let value = self.value(list).map_err(|error| error.at(&self.file, self.position))?;
        for target in &self.targets {
            let Some(select) = &target.select else {
                let error = Error::invalid("target must specify resources to select");
                return Err(error.at(&self.file, self.position));
            };
            for resource in list.iter_mut().filter(|resource| target.selects(select, resource)) {
                for path in &target.paths {
                    resource
                        .changing(|resource| copy(resource, &value, path, target.options.as_ref()))
                        .map_err(|error| resource.error(error).at(&self.file, self.position))?;
                }
                resource.refresh(types);
            }
        }
        Ok(())
    }

    fn value(&self, list: &[Resource]) -> Result<Node> {
        let Some(source) = &self.source else {
            return Ok(Node::plain(self.value.clone().unwrap_or_default()));
        };
        let found = select_source(list, source)?;
        let path = if source.field_path.is_empty() { "metadata.name" } else { &source.field_path };
        let node = lookup(&found.node, &segments(path))
            .map_err(|error| {
                Error::invalid(format!("error looking up replacement source: {}", error.message))
            })?
            .filter(|node| match &node.data {
                Data::Map(map) => !map.entries.is_empty(),
                Data::Seq(items) => !items.is_empty(),
                Data::Scalar(_) => !node.is_null(),
            })
            .ok_or_else(|| {
                Error::invalid(format!(
                    "fieldPath `{path}` is missing for replacement source {}",
                    described(source)
                ))
            })?;
        let mut value = refined(node, source.options.as_ref())?;
        shared::unmark(&mut value);
        if size(&value) > LARGEST || depth(&value) > DEEPEST {
            return Err(Error::invalid(format!(
                "the value to copy holds more than {LARGEST} values or nests deeper than {DEEPEST} levels"
            )));
        }
        Ok(value)
    }
}

/// A copied value holds no more than this: copying an object into itself doubles it each time.
const LARGEST: usize = 100_000;
const DEEPEST: usize = 256;

fn size(node: &Node) -> usize {
    1 + match &node.data {
        Data::Scalar(_) => 0,
        Data::Seq(items) => items.iter().map(size).sum(),
        Data::Map(map) => map.entries.iter().map(|(_, value)| size(value)).sum(),
    }
}

fn depth(node: &Node) -> usize {
    1 + match &node.data {
        Data::Scalar(_) => 0,
        Data::Seq(items) => items.iter().map(depth).max().unwrap_or(0),
        Data::Map(map) => map.entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
    }
}

fn described(source: &ReplacementSource) -> String {
    let part =
        |text: &'_ str, none: &'static str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!(
        "{}.{}.{}/{}.{}",
        part(&source.kind, "[noKind]"),
        part(&source.version, "[noVer]"),
        part(&source.group, "[noGrp]"),
        part(&source.name, "[noName]"),
        part(&source.namespace, "[noNs]")
    )
}

fn select_source<'a>(list: &'a [Resource], source: &ReplacementSource) -> Result<&'a Resource> {
    // The scope of kinds plays no part here: the namespace is what the document says.
    let mut found = list.iter().filter(|resource| {
        let current = Id { namespace: effective(resource.namespace(), false), ..resource.id() };
        resource.previous_ids().chain(std::iter::once(current)).any(|id| {
            (source.name.is_empty() || source.name == id.name)
                && (source.namespace.is_empty() || source.namespace == id.namespace)
                && id.selected_by(&source.group, &source.version, &source.kind)
        })
    });
    match (found.next(), found.next()) {
        (Some(resource), None) => Ok(resource),
        (None, _) => Err(Error::invalid(format!("nothing selected by {}", described(source)))),
        (Some(_), Some(_)) => {
            Err(Error::invalid(format!("multiple matches for selector {}", described(source))))
        }
    }
}

fn refined(node: &Node, options: Option<&FieldOptions>) -> Result<Node> {
    let Some(options) = options.filter(|options| !options.delimiter.is_empty()) else {
        return Ok(node.clone());
    };
    let Some(text) = node.text() else {
        return Err(Error::invalid("delimiter option can only be used with scalar nodes"));
    };
    let part =
        usize::try_from(options.index).ok().and_then(|index| text.split(&options.delimiter).nth(index));
    match part {
        Some(part) => {
            Ok(Node { data: Data::Scalar(part.to_owned()), tag: explicit_tag(node), ..node.clone() })
        }
        None => {
            Err(Error::invalid(format!("options.index {} is out of bounds for value {text}", options.index)))
        }
    }
}

impl Target {
    fn new(args: ReplacementTarget) -> Result<Self> {
        let reject = |args: &crate::kustomization::SelectorArgs| -> Result<Reject> {
            let by_pairs = !args.label_selector.is_empty() || !args.annotation_selector.is_empty();
            let by_id = [&args.group, &args.version, &args.kind, &args.name, &args.namespace]
                .iter()
                .any(|part| !part.is_empty());
            Ok(Reject { selector: Selector::new(args)?, by_pairs, by_id })
        };
        let mut paths = args.field_paths;
        if paths.is_empty() {
            paths.push("metadata.name".to_owned());
        }
        Ok(Self {
            select: args.select.as_ref().map(Selector::new).transpose()?,
            reject: args.reject.iter().map(reject).collect::<Result<_>>()?,
            paths,
            options: args.options,
        })
    }

    fn selects(&self, select: &Selector, resource: &Resource) -> bool {
        let current = resource.id();
        let any = |selector: &Selector| {
            resource.previous_ids().any(|id| selector.matches_id(&id, id.namespace))
                || selector.matches_id(&current, resource.namespace())
        };
        select.matches_pairs(resource)
            && !self.reject.iter().any(|reject| {
                reject.by_pairs && reject.selector.matches_pairs(resource)
                    || reject.by_id && any(&reject.selector)
            })
            && any(select)
    }
}

fn copy(
    resource: &mut Resource,
    value: &Node,
    path: &str,
    options: Option<&FieldOptions>,
) -> Result<(), Fault> {
    let create = options.is_some_and(|options| options.create).then_some(match &value.data {
        Data::Scalar(_) => Leaf::Scalar,
        Data::Seq(_) => Leaf::Seq,
        Data::Map(_) => Leaf::Map,
    });
    let parts = segments(path);
    if set_in_text(&mut resource.node, value, &parts, create).is_some() {
        return Ok(());
    }
    let verb = if create.is_some() { "find or create" } else { "find" };
    let missing = || format!("unable to {verb} field \"{path}\" in replacement target");
    let places = find(&mut resource.node, &parts, create)
        .map_err(|error| Fault::new(error.position, format!("{}: {}", missing(), error.message)))?;
    if places.is_empty() {
        return Err(Fault::new(resource.node.position, missing()));
    }
    for place in places.into_iter().flatten() {
        if let Some(field) = at(&mut resource.node, &place) {
            set(field, value, options)?;
        }
    }
    Ok(())
}

fn set(field: &mut Node, value: &Node, options: Option<&FieldOptions>) -> Result<(), Fault> {
    let mut value = value.clone();
    if let Some(options) = options.filter(|options| !options.delimiter.is_empty()) {
        let Some(old) = field.text() else {
            return Err(Fault::new(field.position, "delimiter option can only be used with scalar nodes"));
        };
        let new = value.text().unwrap_or_default();
        let mut parts: Vec<&str> = old.split(options.delimiter.as_str()).collect();
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, new),
            Ok(index) => match parts.get_mut(index) {
                Some(part) => *part = new,
                None => parts.push(new),
            },
        }
        let text = parts.join(&options.delimiter);
        value.tag = explicit_tag(&value);
        value.data = Data::Scalar(text);
    }
    put(field, value);
    Ok(())
}

/// A scalar only takes the text; everything else becomes a copy.
fn put(field: &mut Node, value: Node) {
    if !field.is_scalar() {
        *field = value;
        return;
    }
    // A field that was just created has no type yet; any other keeps the one it has.
    let fresh =
        field.position == Position::default() && field.tag == Tag::None && field.style == Style::Plain;
    if !fresh {
        field.tag = explicit_tag(field);
    }
    field.data = Data::Scalar(match value.data {
        Data::Scalar(text) => text,
        Data::Seq(_) | Data::Map(_) => String::new(),
    });
}

/// Sets a value inside a text that is itself JSON or YAML; `None` when the path is not like that.
fn set_in_text(node: &mut Node, value: &Node, parts: &[String], create: Option<Leaf>) -> Option<()> {
    if parts.len() < 2 {
        return None;
    }
    let (scalar, rest) = (1..parts.len()).find_map(|length| {
        let (head, rest) = parts.split_at(length);
        let found = lookup(node, head).ok().flatten()?;
        let text = found.text()?;
        ferrite_yaml::parse(text, &Limits::default()).is_ok().then_some((head, rest))
    })?;
    let place = place_of(node, scalar)?;
    let field = at(node, &place)?;
    let text = field.text()?.to_owned();
    let mut inner = ferrite_yaml::parse(&text, &Limits::default()).ok().flatten()?;
    let places = find(&mut inner, rest, create).ok()?;
    if places.is_empty() {
        return None;
    }
    for place in places.into_iter().flatten() {
        put(at(&mut inner, &place)?, value.clone());
    }
    let written = if text.trim_start().starts_with(['{', '[']) {
        let json = inner.to_json(Dialect::Yaml12).ok()?;
        if text.contains('\n') && text.contains("  ") { pretty(&json) } else { ferrite_yaml::go_json(&json) }
    } else {
        ferrite_yaml::write_commented(&inner, &text).trim().to_owned()
    };
    field.tag = explicit_tag(field);
    field.data = Data::Scalar(written);
    Some(())
}

/// The place of what [`lookup`] finds.
fn place_of(node: &Node, path: &[String]) -> Option<Vec<usize>> {
    let mut place = Vec::new();
    let mut node = node;
    for part in path.iter().filter(|part| !part.trim().is_empty()) {
        let next = lookup(node, std::slice::from_ref(part)).ok().flatten()?;
        let at = match &node.data {
            Data::Map(map) => map.entries.iter().position(|(_, value)| std::ptr::eq(value, next))?,
            Data::Seq(items) => items.iter().position(|item| std::ptr::eq(item, next))?,
            Data::Scalar(_) => return None,
        };
        place.push(at);
        node = next;
    }
    Some(place)
}

/// JSON as Go's `MarshalIndent` with two spaces.
fn pretty(value: &Value) -> String {
    fn write(out: &mut String, value: &Value, indent: usize) {
        let line = |out: &mut String, indent: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", indent));
        };
        match value {
            Value::Array(items) if !items.is_empty() => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    line(out, indent + 1);
                    write(out, item, indent + 1);
                }
                line(out, indent);
                out.push(']');
            }
            Value::Object(map) if !map.is_empty() => {
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_by_key(|(key, _)| key.as_bytes());
                out.push('{');
                for (at, (key, item)) in keys.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    line(out, indent + 1);
                    out.push_str(&ferrite_yaml::go_json(&Value::String(key.clone())));
                    out.push_str(": ");
                    write(out, item, indent + 1);
                }
                line(out, indent);
                out.push('}');
            }
            other => out.push_str(&ferrite_yaml::go_json(other)),
        }
    }
    let mut out = String::new();
    write(&mut out, value, 0);
    out
}
