//! The parsed form of a template.

use std::rc::Rc;

use crate::value::{Str, Value};

/// A list of nodes.
pub(crate) type Nodes = Vec<Node>;

/// An element of a template's body.
#[derive(Debug)]
pub(crate) enum Node {
    Text(Str),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { pos: usize, name: Rc<str>, quoted: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// `if`, `with` or `range` with its lists.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) list: Nodes,
    pub(crate) otherwise: Option<Nodes>,
}

/// A pipeline with its declarations.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) assign: bool,
    pub(crate) decl: Vec<Rc<str>>,
    pub(crate) cmds: Vec<Command>,
}

/// One stage of a pipeline.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Arg>,
}

/// An operand with its offset.
#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) pos: usize,
    pub(crate) kind: ArgKind,
}

#[derive(Debug)]
pub(crate) enum ArgKind {
    Bool(bool),
    Str { quoted: String, value: Value },
    Number(Number),
    Dot,
    Nil,
    Field(Vec<Rc<str>>),
    Variable(Vec<Rc<str>>),
    Identifier(Rc<str>),
    Pipe(Pipe),
    Chain(Box<Arg>, Vec<Rc<str>>),
}

/// A numeric literal, in every form it can take.
#[derive(Debug, Clone, Default)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
    pub(crate) is_char: bool,
}

fn dotted(out: &mut String, names: &[Rc<str>]) {
    for name in names {
        out.push('.');
        out.push_str(name);
    }
}

impl Pipe {
    pub(crate) fn write(&self, out: &mut String) {
        for (i, name) in self.decl.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            out.push_str(name);
        }
        if !self.decl.is_empty() {
            out.push_str(if self.assign { " = " } else { " := " });
        }
        for (i, cmd) in self.cmds.iter().enumerate() {
            if i > 0 {
                out.push_str(" | ");
            }
            cmd.write(out);
        }
    }
}

impl Command {
    pub(crate) fn write(&self, out: &mut String) {
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            if let ArgKind::Pipe(pipe) = &arg.kind {
                out.push('(');
                pipe.write(out);
                out.push(')');
            } else {
                arg.write(out);
            }
        }
    }
}

impl Arg {
    /// The node as Go prints it.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub(crate) fn write(&self, out: &mut String) {
        match &self.kind {
            ArgKind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            ArgKind::Str { quoted, .. } => out.push_str(quoted),
            ArgKind::Number(number) => out.push_str(&number.text),
            ArgKind::Dot => out.push('.'),
            ArgKind::Nil => out.push_str("nil"),
            ArgKind::Field(names) => dotted(out, names),
            ArgKind::Variable(names) => {
                out.push_str(&names[0]);
                dotted(out, &names[1..]);
            }
            ArgKind::Identifier(name) => out.push_str(name),
            ArgKind::Pipe(pipe) => pipe.write(out),
            ArgKind::Chain(node, names) => {
                if let ArgKind::Pipe(pipe) = &node.kind {
                    out.push('(');
                    pipe.write(out);
                    out.push(')');
                } else {
                    node.write(out);
                }
                dotted(out, names);
            }
        }
    }
}

/// A place in a template that an error can point at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    Start,
    Pipe(&'a Pipe),
    Command(&'a Command),
    Arg(&'a Arg),
    Action(&'a Pipe),
    Template(&'a Node),
}

impl At<'_> {
    pub(crate) fn pos(&self) -> usize {
        match self {
            Self::Start => 0,
            Self::Pipe(pipe) | Self::Action(pipe) => pipe.pos,
            Self::Command(cmd) => cmd.pos,
            Self::Arg(arg) => arg.pos,
            Self::Template(Node::Template { pos, .. }) => *pos,
            Self::Template(_) => 0,
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Start | Self::Template(_) => {}
            Self::Pipe(pipe) => pipe.write(&mut out),
            Self::Action(pipe) => {
                out.push_str("{{");
                pipe.write(&mut out);
                out.push_str("}}");
            }
            Self::Command(cmd) => cmd.write(&mut out),
            Self::Arg(arg) => arg.write(&mut out),
        }
        if let Self::Template(Node::Template { quoted, pipe, .. }) = self {
            out.push_str("{{template ");
            out.push_str(quoted);
            if let Some(pipe) = pipe {
                out.push(' ');
                pipe.write(&mut out);
            }
            out.push_str("}}");
        }
        out
    }
}
