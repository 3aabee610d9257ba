//! Carries out parsed templates.

mod call;
mod limits;

use std::{cell::RefCell, collections::HashMap, rc::Rc};

pub use limits::Limits;
use limits::Meter;

use crate::{
    error::Error,
    fmt,
    func::Functions,
    parse::{
        self, Template,
        node::{Arg, ArgKind, At, Branch, Node, Nodes, Pipe},
    },
    value::{Str, Value},
};

/// What a missing map key gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// No value.
    Default,
    /// The zero value of the map's element type: Helm's choice.
    #[default]
    Zero,
    /// An error.
    Error,
}

/// State of one render: functions, bounds, parsed `tpl` texts.
#[derive(Debug)]
pub struct Engine {
    pub(crate) functions: Functions,
    pub(crate) missing_key: MissingKey,
    pub(crate) meter: Meter,
    parsed: RefCell<HashMap<Str, ParsedText>>,
}

type ParsedText = Rc<HashMap<Rc<str>, Rc<Template>>>;

impl Engine {
    /// An engine with these functions and bounds. The clock of the time bound starts now.
    #[must_use]
    pub fn new(functions: Functions, missing_key: MissingKey, limits: Limits) -> Self {
        Self { functions, missing_key, meter: Meter::new(limits), parsed: RefCell::default() }
    }

    /// Runs the named template of a set with `data` as dot and `$`.
    ///
    /// # Errors
    ///
    /// Go's execution error, or a limit.
    pub fn execute(&self, set: &Templates<'_>, name: &str, data: &Value) -> Result<Vec<u8>, Error> {
        let Some(template) = set.get(name) else {
            return Err(Error::plain(format!(
                "template: no template {} associated with template \"gotpl\"",
                crate::quote::quote(name.as_bytes())
            )));
        };
        Exec::run(self, set, template, data, 0)
    }

    /// The functions templates may call.
    #[must_use]
    pub fn functions(&self) -> &Functions {
        &self.functions
    }
}

/// A set of templates by name; a set made for `tpl` refers to the one it extends.
#[derive(Debug, Default)]
pub struct Templates<'p> {
    parent: Option<&'p Self>,
    own: HashMap<Rc<str>, Rc<Template>>,
    extra: ParsedText,
}

impl Templates<'_> {
    /// Adds templates; blank bodies do not replace others.
    pub fn add(&mut self, templates: Vec<Template>) {
        for template in templates {
            if template.is_empty() && self.get(&template.name).is_some() {
                continue;
            }
            self.own.insert(template.name.clone(), Rc::new(template));
        }
    }

    /// The template of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Template> {
        if let Some(template) = self.own.get(name).or_else(|| self.extra.get(name)) {
            return Some(template);
        }
        self.parent.and_then(|parent| parent.get(name))
    }
}

/// A value as `reflect` sees it: `iface` when its static type is `interface {}`.
#[derive(Clone, Debug)]
pub(crate) struct Rv {
    pub(crate) value: Value,
    pub(crate) iface: bool,
}

impl Rv {
    pub(crate) fn concrete(value: Value) -> Self {
        Self { value, iface: false }
    }

    pub(crate) fn iface(value: Value) -> Self {
        Self { value, iface: true }
    }

    /// An invalid `reflect.Value`: no value at all.
    pub(crate) fn is_invalid(&self) -> bool {
        !self.iface && matches!(self.value, Value::Nil)
    }

    pub(crate) fn type_name(&self) -> String {
        if self.iface { "interface {}".into() } else { self.value.type_name() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

/// One running template: `text/template`'s state.
#[derive(Debug)]
pub struct Exec<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) set: &'a Templates<'a>,
    pub(crate) template: &'a Template,
    pub(crate) at: At<'a>,
    pub(crate) vars: Vec<(&'a str, Rv)>,
    depth: usize,
    out: Vec<u8>,
}

pub(crate) type Step<T> = Result<T, Error>;

impl<'a> Exec<'a> {
    fn run(
        engine: &'a Engine,
        set: &'a Templates<'a>,
        template: &'a Template,
        data: &Value,
        depth: usize,
    ) -> Step<Vec<u8>> {
        engine.meter.enter()?;
        let mut exec = Exec {
            engine,
            set,
            template,
            at: At::Start,
            vars: vec![("$", Rv::concrete(data.clone()))],
            depth,
            out: Vec::new(),
        };
        exec.list(&Rv::concrete(data.clone()), &template.root)?;
        Ok(exec.out)
    }

    /// Runs another template of the same set, as `include` does.
    ///
    /// # Errors
    ///
    /// As [`Engine::execute`].
    pub fn include(&self, name: &str, data: &Value) -> Result<Vec<u8>, Error> {
        match self.set.get(name) {
            Some(template) => Exec::run(self.engine, self.set, template, data, self.depth + 1),
            None => self.engine.execute(self.set, name, data),
        }
    }

    /// Parses `text` as a template `name` on top of the current set and runs it, as `tpl` does.
    ///
    /// # Errors
    ///
    /// The parse error in the first place, the execution error in the second.
    pub fn render_text(&self, name: &str, text: &Str, data: &Value) -> Result<Vec<u8>, RenderText> {
        let known = self.engine.parsed.borrow().get(text).cloned();
        let parsed = match known {
            Some(parsed) => parsed,
            None => {
                self.engine.meter.spend(text.len() / 16).map_err(RenderText::Run)?;
                let templates =
                    parse::parse(name, text, &self.engine.functions).map_err(RenderText::Parse)?;
                let parsed: ParsedText =
                    Rc::new(templates.into_iter().map(|t| (t.name.clone(), Rc::new(t))).collect());
                self.engine.parsed.borrow_mut().insert(text.clone(), parsed.clone());
                parsed
            }
        };
        let mut set = Templates { parent: Some(self.set), own: HashMap::new(), extra: Rc::default() };
        if parsed.len() == 1 {
            set.extra = parsed;
        } else {
            for (key, template) in parsed.iter() {
                if !template.is_empty() || self.set.get(key).is_none() || &**key == name {
                    set.own.insert(key.clone(), template.clone());
                }
            }
        }
        let Some(template) = set.get(name) else {
            return Ok(Vec::new());
        };
        Exec::run(self.engine, &set, template, data, self.depth + 1).map_err(RenderText::Run)
    }

    pub(crate) fn fail<T>(&self, message: &str) -> Step<T> {
        Err(self.error(message, None))
    }

    pub(crate) fn error(&self, message: &str, cause: Option<Error>) -> Error {
        let (pos, text) = (self.at.pos(), &self.template.text);
        let before = &text[..pos.min(text.len())];
        let line = 1 + before.iter().filter(|c| **c == b'\n').count();
        let column = before.iter().rposition(|c| *c == b'\n').map_or(pos, |x| pos - x - 1);
        let name = crate::quote::quote(self.template.name.as_bytes());
        let message = match &cause {
            Some(cause) => format!("{message}{}", cause.text()),
            None => message.to_owned(),
        };
        let place = format!("{}:{line}:{column}", self.template.parse_name);
        Error::exec(format!("template: {place}: executing {name} at <{}>: {message}", self.at.text()), cause)
    }

    /// Notes work done, such as bytes produced by a function.
    ///
    /// # Errors
    ///
    /// When the render's budget is used up.
    pub fn spend(&self, amount: usize) -> Result<(), Error> {
        self.engine.meter.spend(amount)
    }

    fn write(&mut self, bytes: &[u8]) -> Step<()> {
        self.engine.meter.output(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn list(&mut self, dot: &Rv, nodes: &'a Nodes) -> Step<Flow> {
        for node in nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, dot: &Rv, node: &'a Node) -> Step<Flow> {
        self.engine.meter.step()?;
        match node {
            Node::Text(text) => {
                self.write(text)?;
            }
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.decl.is_empty() {
                    self.at = At::Action(pipe);
                    self.print(&value.value)?;
                }
            }
            Node::If(branch) => return self.branch(dot, branch, false),
            Node::With(branch) => return self.branch(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template { name, pipe, .. } => self.call_template(dot, node, name, pipe.as_ref())?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, value: &Value) -> Step<()> {
        match value {
            Value::Nil => self.write(b"<no value>"),
            Value::Str(text) => self.write(text),
            Value::Object(object) if object.printed().is_some() => {
                self.write(object.printed().unwrap_or_default().as_bytes())
            }
            other => {
                let mut text = Vec::new();
                fmt::print_value(&mut text, other);
                self.write(&text)
            }
        }
    }

    fn branch(&mut self, dot: &Rv, branch: &'a Branch, with: bool) -> Step<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.value.truth() {
            if with { self.list(&value, &branch.list)? } else { self.list(dot, &branch.list)? }
        } else if let Some(otherwise) = &branch.otherwise {
            self.list(dot, otherwise)?
        } else {
            Flow::Next
        };
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, dot: &Rv, branch: &'a Branch) -> Step<Flow> {
        let outer = self.vars.len();
        let flow = self.range_over(dot, branch)?;
        self.vars.truncate(outer);
        Ok(flow)
    }

    fn range_over(&mut self, dot: &Rv, branch: &'a Branch) -> Step<Flow> {
        let value = self.pipeline(dot, &branch.pipe)?.value;
        let mark = self.vars.len();
        let entries = match &value {
            Value::Map(map) => Some(map.snapshot()),
            Value::Object(object) => object.as_entries(),
            _ => None,
        };
        if let Some(entries) = entries {
            for (key, elem) in &entries {
                let key = Rv::concrete(Value::Str(key.clone()));
                if self.iterate(branch, mark, &key, &Rv::iface(elem.clone()))? {
                    return Ok(Flow::Next);
                }
            }
            if !entries.is_empty() {
                return Ok(Flow::Next);
            }
        } else if let Value::List(list) = &value {
            let iface = list.elem() == crate::value::Elem::Any;
            if self.range_items(branch, mark, list, iface)? {
                return Ok(Flow::Next);
            }
        } else if let Some(items) = value.items() {
            if self.range_items(branch, mark, &items, false)? {
                return Ok(Flow::Next);
            }
        } else if let Some(count) = integer(&value) {
            if branch.pipe.decl.len() > 1 {
                let text = fmt::to_text(&value);
                return self.fail(&format!("can't use {text} to iterate over more than one variable"));
            }
            for i in 0..count.max(0) {
                let elem = if matches!(value, Value::Int64(_)) { Value::Int64(i) } else { Value::Int(i) };
                if self.iterate(branch, mark, &Rv::concrete(Value::Nil), &Rv::concrete(elem))? {
                    return Ok(Flow::Next);
                }
            }
            if count > 0 {
                return Ok(Flow::Next);
            }
        } else if !matches!(value, Value::Nil) {
            let text = fmt::to_text(&value);
            return self.fail(&format!("range can't iterate over {text}"));
        }
        match &branch.otherwise {
            Some(otherwise) => self.list(dot, otherwise),
            None => Ok(Flow::Next),
        }
    }

    /// All rounds over a list; false when it is empty.
    fn range_items(&mut self, branch: &'a Branch, mark: usize, items: &[Value], iface: bool) -> Step<bool> {
        for (i, elem) in items.iter().enumerate() {
            let elem = Rv { value: elem.clone(), iface };
            if self.iterate(branch, mark, &Rv::concrete(Value::Int(i as i64)), &elem)? {
                break;
            }
        }
        Ok(!items.is_empty())
    }

    /// One round; true means the loop was left with `break`.
    fn iterate(&mut self, branch: &'a Branch, mark: usize, index: &Rv, elem: &Rv) -> Step<bool> {
        self.engine.meter.step()?;
        let pipe = &branch.pipe;
        match (pipe.decl.as_slice(), pipe.assign) {
            ([], _) => {}
            ([one], true) => self.assign(one, elem)?,
            ([_], false) => self.set_top(1, elem.clone()),
            ([first, second, ..], true) => {
                self.assign(first, index)?;
                self.assign(second, elem)?;
            }
            (_, false) => {
                self.set_top(1, elem.clone());
                self.set_top(2, index.clone());
            }
        }
        let flow = self.list(elem, &branch.list)?;
        self.vars.truncate(mark);
        Ok(flow == Flow::Break)
    }

    fn call_template(&mut self, dot: &Rv, node: &'a Node, name: &str, pipe: Option<&'a Pipe>) -> Step<()> {
        self.at = At::Template(node);
        let Some(template) = self.set.get(name) else {
            return self.fail(&format!("template {} not defined", crate::quote::quote(name.as_bytes())));
        };
        if self.depth >= self.engine.meter.max_depth() || self.engine.meter.stack_low() {
            return self
                .fail(&format!("exceeded maximum template depth ({})", self.engine.meter.max_depth()));
        }
        let data = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Rv::concrete(Value::Nil),
        };
        let vars = std::mem::replace(&mut self.vars, vec![("$", data.clone())]);
        let caller = std::mem::replace(&mut self.template, template);
        self.depth += 1;
        self.list(&data, &template.root)?;
        self.depth -= 1;
        self.template = caller;
        self.vars = vars;
        Ok(())
    }

    fn pipeline(&mut self, dot: &Rv, pipe: &'a Pipe) -> Step<Rv> {
        self.at = At::Pipe(pipe);
        let mut value: Option<Rv> = None;
        for command in &pipe.cmds {
            let mut result = self.command(dot, command, value.take())?;
            result.iface = false;
            value = Some(result);
        }
        let value = value.unwrap_or(Rv::concrete(Value::Nil));
        for name in &pipe.decl {
            if pipe.assign {
                self.assign(name, &value)?;
            } else {
                self.vars.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn set_top(&mut self, from_top: usize, value: Rv) {
        let at = self.vars.len() - from_top;
        self.vars[at].1 = value;
    }

    fn assign(&mut self, name: &str, value: &Rv) -> Step<()> {
        match self.vars.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value.clone();
                Ok(())
            }
            None => self.fail(&format!("undefined variable: {name}")),
        }
    }

    pub(crate) fn variable(&self, name: &str) -> Step<Rv> {
        match self.vars.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(&format!("undefined variable: {name}")),
        }
    }

    pub(crate) fn sub_pipeline(&mut self, dot: &Rv, arg: &'a Arg) -> Step<Rv> {
        match &arg.kind {
            ArgKind::Pipe(pipe) => self.pipeline(dot, pipe),
            _ => self.fail("not a pipeline"),
        }
    }
}

/// How [`Exec::render_text`] failed.
#[derive(Debug)]
pub enum RenderText {
    /// The text is not a template.
    Parse(Error),
    /// It could not be carried out.
    Run(Error),
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(i) | Value::Int64(i) => Some(*i),
        Value::Byte(b) => Some(i64::from(*b)),
        Value::Uint64(u) => i64::try_from(*u).ok(),
        _ => None,
    }
}
