//! The functions Helm adds to sprig's.

mod convert;
mod duration;

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use ferrite_gotemplate as go;
use ferrite_semver::{Constraint, Version};
use go::{Error, Function, Functions, RenderText, Str, Ty, Value};

pub(crate) use convert::yaml_text;

use crate::objects::SemVer;

/// Nested calls of one template by `include`, beyond which Helm gives up.
const MAX_INCLUDES: usize = 1000;

/// Marks the messages of `required` and `fail`; taken out again when the error is shown.
pub(crate) const MESSAGE_START: &str = "HELM_ERR_START";
/// The end of such a message.
pub(crate) const MESSAGE_END: &str = "HELM_ERR_END";

/// Looks up objects of a cluster for the `lookup` function.
pub trait Lookup: Send + Sync {
    /// The object, or the list of objects when `name` is empty; null when there is none.
    ///
    /// An empty `namespace` means all namespaces, or a cluster-wide kind.
    ///
    /// # Errors
    ///
    /// Why the cluster did not answer; the render fails with it.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<serde_json::Value, String>;

    /// An address of a host, for `getHostByName`; empty when it has none, and where names are not resolved.
    fn address(&self, host: &str) -> String {
        let _unused = host;
        String::new()
    }
}

/// How templates are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// As installs do.
    #[default]
    Normal,
    /// `required` and `fail` do nothing, so that all of a chart is looked at.
    Lint,
}

fn text(args: &[Value], i: usize) -> String {
    match args.get(i) {
        Some(Value::Str(text)) => text.to_text().into_owned(),
        _ => String::new(),
    }
}

/// [`Lookup`] as templates call it: API version, kind, namespace, name.
pub(crate) type LookupFn = Rc<dyn Fn(&[String; 4]) -> Result<Value, Error>>;

/// [`Lookup::address`] as templates call it.
pub(crate) type AddressFn = Rc<dyn Fn(&str) -> String>;

/// sprig's functions and Helm's.
pub(crate) fn all(strictness: Strictness, lookup: Option<LookupFn>, address: Option<AddressFn>) -> Functions {
    let mut functions = Functions::sprig();
    convert::register(&mut functions);
    duration::register(&mut functions);
    functions.insert(
        "semver",
        Function::plain(&[Ty::Str], None, |a| {
            Version::parse(&text(a, 0)).map(SemVer::value).map_err(semver_error)
        }),
    );
    functions.insert("semverCompare", Function::plain(&[Ty::Str, Ty::Str], None, semver_compare));
    functions.insert(
        "getHostByName",
        match address {
            None => Function::plain(&[Ty::Str], None, |_| Ok("".into())),
            Some(address) => {
                Function::host(&[Ty::Str], None, move |_, a| Ok(address(&text(a, 0)).as_str().into()))
            }
        },
    );
    templates(&mut functions);
    if strictness == Strictness::Lint {
        functions.insert(
            "required",
            Function::plain(&[Ty::Str, Ty::Any], None, |a| {
                Ok(if missing(&a[1]) { "".into() } else { a[1].clone() })
            }),
        );
        functions.insert("fail", Function::plain(&[Ty::Str], None, |_| Ok("".into())));
    } else {
        functions.insert(
            "required",
            Function::plain(&[Ty::Str, Ty::Any], None, |a| {
                if missing(&a[1]) { Err(message(&text(a, 0))) } else { Ok(a[1].clone()) }
            }),
        );
        functions.insert("fail", Function::plain(&[Ty::Str], None, |a| Err(message(&text(a, 0)))));
    }
    let none = || Value::map::<&str>([]);
    functions.insert(
        "lookup",
        match lookup {
            None => {
                Function::plain(&[Ty::Str, Ty::Str, Ty::Str, Ty::Str], None, |_| Ok(Value::map::<&str>([])))
            }
            Some(lookup) => Function::host(&[Ty::Str, Ty::Str, Ty::Str, Ty::Str], None, move |_, a| {
                let found = lookup(&[text(a, 0), text(a, 1), text(a, 2), text(a, 3)])?;
                Ok(if matches!(found, Value::Nil) { none() } else { found })
            }),
        },
    );
    functions
}

fn missing(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Str(text) => text.is_empty(),
        _ => false,
    }
}

fn message(text: &str) -> Error {
    Error::plain(format!("{MESSAGE_START}{text}{MESSAGE_END}"))
}

/// `include` and `tpl`.
fn templates(functions: &mut Functions) {
    let included: Rc<RefCell<HashMap<Str, usize>>> = Rc::default();
    functions.insert(
        "include",
        Function::host(&[Ty::Str, Ty::Any], None, move |exec, args| {
            let Value::Str(name) = &args[0] else { return Ok("".into()) };
            let depth = included.borrow().get(name).copied().unwrap_or(0);
            if depth > MAX_INCLUDES {
                let name = name.to_text();
                return Err(Error::plain(format!(
                    "rendering template has a nested reference name: {name}: unable to execute template"
                )));
            }
            included.borrow_mut().insert(name.clone(), depth + 1);
            let result = exec.include(&name.to_text(), &args[1]);
            included.borrow_mut().insert(name.clone(), depth);
            result.map(Value::from)
        }),
    );
    functions.insert(
        "tpl",
        Function::host(&[Ty::Str, Ty::Any], None, |exec, args| {
            let Value::Str(text) = &args[0] else { return Ok("".into()) };
            // Text without actions is itself; most uses of tpl are of that kind.
            if !text.windows(2).any(|pair| pair == b"{{") {
                return Ok(Value::Str(crate::render::without_no_value(text.to_vec()).into()));
            }
            match exec.render_text("gotpl", text, &args[1]) {
                Ok(out) => Ok(crate::render::without_no_value(out).into()),
                Err(RenderText::Parse(error)) => {
                    Err(error.wrap(&format!("cannot parse template {}: ", go::quote(text))))
                }
                Err(RenderText::Run(error)) if error.kind() == go::ErrorKind::Limit => Err(error),
                Err(RenderText::Run(error)) => {
                    Err(error.wrap(&format!("error during tpl function execution for {}: ", go::quote(text))))
                }
            }
        }),
    );
}

/// Masterminds/semver's words.
pub(crate) fn semver_error(error: ferrite_semver::Error) -> Error {
    Error::plain(match error {
        ferrite_semver::Error::Part { problem, .. } if problem.contains("prerelease") => {
            "version segment starts with 0".to_owned()
        }
        ferrite_semver::Error::Part { version, .. } => {
            let segments = version.trim_start_matches('v').split(['.', '-', '+']);
            let large = segments.take(3).find(|segment| segment.parse::<u64>().is_err()).unwrap_or_default();
            let large = go::quote(large.as_bytes());
            format!("error parsing version segment: strconv.ParseUint: parsing {large}: value out of range")
        }
        ferrite_semver::Error::Version(_) | ferrite_semver::Error::Constraint(_) => {
            "invalid semantic version".to_owned()
        }
    })
}

fn semver_compare(args: &[Value]) -> Result<Value, Error> {
    let (range, version) = (text(args, 0), text(args, 1));
    let range = Constraint::parse(&range).map_err(|_| {
        // The library shows the alternative that is wrong.
        let part = range.split("||").find(|part| Constraint::parse(part).is_err()).unwrap_or(&range);
        Error::plain(format!("improper constraint: {}", go::quote(part.as_bytes())))
    })?;
    let version = Version::parse(&version).map_err(semver_error)?;
    Ok(range.matches(&version).into())
}
