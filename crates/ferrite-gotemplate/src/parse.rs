//! Parses template text into trees, with Go's rules, positions and messages.

mod lex;
pub(crate) mod node;
mod number;

use std::rc::Rc;

use crate::{error::Error, func::Functions, quote, value::Value};
use lex::{Item, Tok};
use node::{Arg, ArgKind, Branch, Command, Node, Nodes, Pipe};

/// Nesting of parentheses and blocks; Go bounds expressions at 10000.
const MAX_DEPTH: usize = 1000;

/// A named template.
#[derive(Debug)]
pub struct Template {
    pub(crate) name: Rc<str>,
    /// The name errors show: that of the text the template was defined in.
    pub(crate) parse_name: Rc<str>,
    pub(crate) text: Rc<[u8]>,
    pub(crate) root: Nodes,
}

impl Template {
    /// The template's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the body is blank; such a body does not replace another of the same name.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.iter().all(|node| match node {
            Node::Text(text) => text.iter().all(|c| c.is_ascii_whitespace() || *c == 0x0b),
            _ => false,
        })
    }
}

enum End {
    End,
    Else,
}

struct Parser<'f> {
    items: Vec<Item>,
    next: usize,
    token: [Item; 3],
    peeked: usize,
    parse_name: Rc<str>,
    text: Rc<[u8]>,
    functions: &'f Functions,
    vars: Vec<Rc<str>>,
    range_depth: usize,
    action_line: usize,
    depth: usize,
    defined: Vec<Template>,
    /// Inside `define` and `block` a tree starts over; their parse errors show the same name.
    name: Rc<str>,
}

type Parsed<T> = Result<T, Error>;

/// Parses `text`; the last template returned is the one named `name`, before it come those it defines.
///
/// # Errors
///
/// Go's parse error: `template: name:line: message`.
pub fn parse(name: &str, text: &[u8], functions: &Functions) -> Result<Vec<Template>, Error> {
    let none = Item { typ: Tok::Eof, pos: 0, val: Vec::new(), line: 1 };
    let mut parser = Parser {
        items: lex::lex(text),
        next: 0,
        token: [none.clone(), none.clone(), none],
        peeked: 0,
        parse_name: name.into(),
        text: text.into(),
        functions,
        vars: vec!["$".into()],
        range_depth: 0,
        action_line: 0,
        depth: 0,
        defined: Vec::new(),
        name: name.into(),
    };
    let root = parser.top()?;
    let mut defined = std::mem::take(&mut parser.defined);
    parser.name = name.into();
    let main = parser.template(root);
    add(&mut defined, main)
        .map_err(|name| parser.error(&format!("template: multiple definition of template {name}")))?;
    Ok(defined)
}

/// Go's `Tree.add`: blank bodies give way, two real ones of one name are an error.
fn add(defined: &mut Vec<Template>, template: Template) -> Result<(), String> {
    match defined.iter().position(|t| t.name == template.name) {
        None => defined.push(template),
        Some(at) if defined[at].is_empty() => defined[at] = template,
        Some(_) if template.is_empty() => {}
        Some(_) => return Err(quote::quote(template.name.as_bytes())),
    }
    Ok(())
}

impl Parser<'_> {
    fn template(&self, root: Nodes) -> Template {
        Template {
            name: self.name.clone(),
            parse_name: self.parse_name.clone(),
            text: self.text.clone(),
            root,
        }
    }

    // Items: a buffer of three, so that a variable and the space after it can be put back.

    fn lex_next(&mut self) -> Item {
        let item = self.items[self.next.min(self.items.len() - 1)].clone();
        self.next += 1;
        item
    }

    fn next(&mut self) -> Item {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.token[0] = self.lex_next();
        }
        self.token[self.peeked].clone()
    }

    fn backup(&mut self) {
        self.peeked += 1;
    }

    fn backup2(&mut self, t1: Item) {
        self.token[1] = t1;
        self.peeked = 2;
    }

    fn backup3(&mut self, t2: Item, t1: Item) {
        self.token[1] = t1;
        self.token[2] = t2;
        self.peeked = 3;
    }

    fn peek(&mut self) -> &Item {
        if self.peeked > 0 {
            return &self.token[self.peeked - 1];
        }
        self.peeked = 1;
        self.token[0] = self.lex_next();
        &self.token[0]
    }

    fn next_non_space(&mut self) -> Item {
        loop {
            let token = self.next();
            if token.typ != Tok::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Item {
        let token = self.next_non_space();
        self.backup();
        token
    }

    // Errors.

    fn error(&self, message: &str) -> Error {
        Error::parse(format!("template: {}:{}: {message}", self.parse_name, self.token[0].line))
    }

    fn unexpected(&self, token: &Item, context: &str) -> Error {
        if token.typ == Tok::Error {
            let text = token.describe();
            let mut extra = String::new();
            if self.action_line != 0 && self.action_line != token.line {
                let place = format!(" started at {}:{}", self.parse_name, self.action_line);
                extra = if text.ends_with(" action") { place } else { format!(" in action{place}") };
            }
            return self.error(&format!("{text}{extra}"));
        }
        self.error(&format!("unexpected {} in {context}", token.describe()))
    }

    fn expect(&mut self, typ: Tok, context: &str) -> Parsed<Item> {
        let token = self.next_non_space();
        if token.typ == typ { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }

    // Structure.

    fn top(&mut self) -> Parsed<Nodes> {
        let mut root = Nodes::new();
        while self.peek().typ != Tok::Eof {
            if self.peek().typ == Tok::LeftDelim {
                let delim = self.next();
                if self.next_non_space().typ == Tok::Define {
                    self.definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Ok(node) => root.push(node),
                Err(end) => return Err(self.error(&format!("unexpected {}", end_text(&end)))),
            }
        }
        Ok(root)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        if !matches!(token.typ, Tok::String | Tok::RawString) {
            return Err(self.unexpected(&token, CONTEXT));
        }
        let name = quote::unquote(&token.val).ok_or_else(|| self.error("invalid syntax"))?;
        self.expect(Tok::RightDelim, CONTEXT)?;
        self.nested(&String::from_utf8_lossy(&name), CONTEXT)
    }

    /// The body of a `define` or `block`: its variables and ranges are its own.
    fn nested(&mut self, name: &str, context: &str) -> Parsed<()> {
        let vars = std::mem::replace(&mut self.vars, vec!["$".into()]);
        let range_depth = std::mem::take(&mut self.range_depth);
        let (root, end) = self.item_list()?;
        if matches!(end, End::Else) {
            return Err(self.error(&format!("unexpected {} in {context}", end_text(&end))));
        }
        self.vars = vars;
        self.range_depth = range_depth;
        let outer = std::mem::replace(&mut self.name, name.into());
        let template = self.template(root);
        self.name = outer;
        let mut defined = std::mem::take(&mut self.defined);
        let added = add(&mut defined, template);
        self.defined = defined;
        added.map_err(|name| self.error(&format!("template: multiple definition of template {name}")))
    }

    fn item_list(&mut self) -> Parsed<(Nodes, End)> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("max expression depth exceeded"));
        }
        let mut list = Nodes::new();
        while self.peek_non_space().typ != Tok::Eof {
            match self.text_or_action()? {
                Ok(node) => list.push(node),
                Err(end) => {
                    self.depth -= 1;
                    return Ok((list, end));
                }
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn text_or_action(&mut self) -> Parsed<Result<Node, End>> {
        let token = self.next_non_space();
        match token.typ {
            Tok::Text => Ok(Ok(Node::Text(token.val.into()))),
            Tok::LeftDelim => {
                self.action_line = token.line;
                let action = self.action();
                self.action_line = 0;
                action
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Result<Node, End>> {
        let token = self.next_non_space();
        Ok(Ok(match token.typ {
            Tok::Block => self.block_control()?,
            Tok::Break => self.loop_control("break", Node::Break)?,
            Tok::Continue => self.loop_control("continue", Node::Continue)?,
            Tok::Else => {
                if !matches!(self.peek_non_space().typ, Tok::If | Tok::With) {
                    self.expect(Tok::RightDelim, "else")?;
                }
                return Ok(Err(End::Else));
            }
            Tok::End => {
                self.expect(Tok::RightDelim, "end")?;
                return Ok(Err(End::End));
            }
            Tok::If => Node::If(self.control("if")?),
            Tok::Range => Node::Range(self.control("range")?),
            Tok::Template => self.template_control()?,
            Tok::With => Node::With(self.control("with")?),
            _ => {
                self.backup();
                Node::Action(self.pipeline("command", Tok::RightDelim)?)
            }
        }))
    }

    fn loop_control(&mut self, word: &str, node: Node) -> Parsed<Node> {
        let token = self.next_non_space();
        if token.typ != Tok::RightDelim {
            return Err(self.unexpected(&token, &format!("{{{{{word}}}}}")));
        }
        if self.range_depth == 0 {
            return Err(self.error(&format!("{{{{{word}}}}} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    fn control(&mut self, context: &'static str) -> Parsed<Branch> {
        let mark = self.vars.len();
        let pipe = self.pipeline(context, Tok::RightDelim)?;
        let range = usize::from(context == "range");
        self.range_depth += range;
        let (list, end) = self.item_list()?;
        self.range_depth -= range;
        let otherwise = match end {
            End::End => None,
            End::Else => Some(self.otherwise(context)?),
        };
        self.vars.truncate(mark);
        Ok(Branch { pipe, list, otherwise })
    }

    fn otherwise(&mut self, context: &'static str) -> Parsed<Nodes> {
        let next = self.peek().typ;
        if context == "if" && next == Tok::If {
            self.next();
            return Ok(vec![Node::If(self.control("if")?)]);
        }
        if context == "with" && next == Tok::With {
            self.next();
            return Ok(vec![Node::With(self.control("with")?)]);
        }
        let (list, end) = self.item_list()?;
        if matches!(end, End::Else) {
            return Err(self.error(&format!("expected end; found {}", end_text(&end))));
        }
        Ok(list)
    }

    fn block_control(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Tok::RightDelim)?;
        self.nested(&name, CONTEXT)?;
        let quoted = quote::quote(name.as_bytes());
        Ok(Node::Template { pos: token.pos, name, quoted, pipe: Some(pipe) })
    }

    fn template_control(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let mut pipe = None;
        if self.next_non_space().typ != Tok::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(CONTEXT, Tok::RightDelim)?);
        }
        Ok(Node::Template { pos: token.pos, quoted: quote::quote(name.as_bytes()), name, pipe })
    }

    fn template_name(&self, token: &Item, context: &str) -> Parsed<Rc<str>> {
        if !matches!(token.typ, Tok::String | Tok::RawString) {
            return Err(self.unexpected(token, context));
        }
        let name = quote::unquote(&token.val).ok_or_else(|| self.error("invalid syntax"))?;
        Ok(String::from_utf8_lossy(&name).into())
    }

    // Expressions.

    fn pipeline(&mut self, context: &str, end: Tok) -> Parsed<Pipe> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("max expression depth exceeded"));
        }
        let mut pipe =
            Pipe { pos: self.peek_non_space().pos, assign: false, decl: Vec::new(), cmds: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            match token.typ {
                typ if typ == end => {
                    self.check_pipeline(&pipe, context)?;
                    self.depth -= 1;
                    return Ok(pipe);
                }
                Tok::Bool
                | Tok::CharConstant
                | Tok::Complex
                | Tok::Dot
                | Tok::Field
                | Tok::Identifier
                | Tok::Number
                | Tok::Nil
                | Tok::RawString
                | Tok::String
                | Tok::Variable
                | Tok::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.cmds.push(command);
                }
                _ => return Err(self.unexpected(&token, context)),
            }
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        loop {
            let v = self.peek_non_space();
            if v.typ != Tok::Variable {
                return Ok(());
            }
            self.next();
            let after = self.peek().clone();
            let next = self.peek_non_space();
            let name: Rc<str> = v.text().into();
            if matches!(next.typ, Tok::Assign | Tok::Declare) {
                pipe.assign = next.typ == Tok::Assign;
                self.next_non_space();
                pipe.decl.push(name.clone());
                self.vars.push(name);
                return Ok(());
            }
            if next.typ == Tok::Char && next.val == b"," {
                self.next_non_space();
                pipe.decl.push(name.clone());
                self.vars.push(name);
                if context == "range" && pipe.decl.len() < 2 {
                    match self.peek_non_space().typ {
                        Tok::Variable | Tok::RightDelim | Tok::RightParen => continue,
                        _ => return Err(self.error("range can only initialize variables")),
                    }
                }
                return Err(self.error(&format!("too many declarations in {context}")));
            }
            if after.typ == Tok::Space {
                self.backup3(v, after);
            } else {
                self.backup2(v);
            }
            return Ok(());
        }
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.cmds.is_empty() {
            return Err(self.error(&format!("missing value for {context}")));
        }
        for (i, command) in pipe.cmds.iter().enumerate().skip(1) {
            if matches!(
                command.args[0].kind,
                ArgKind::Bool(_) | ArgKind::Dot | ArgKind::Nil | ArgKind::Number(_) | ArgKind::Str { .. }
            ) {
                return Err(self.error(&format!("non executable command in pipeline stage {}", i + 1)));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_non_space().pos, args: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.next();
            match token.typ {
                Tok::Space => continue,
                Tok::RightDelim | Tok::RightParen => self.backup(),
                Tok::Pipe => {}
                _ => return Err(self.unexpected(&token, "operand")),
            }
            break;
        }
        if command.args.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Arg>> {
        let Some(node) = self.term()? else {
            return Ok(None);
        };
        if self.peek().typ != Tok::Field {
            return Ok(Some(node));
        }
        let pos = self.peek().pos;
        let mut names = Vec::new();
        while self.peek().typ == Tok::Field {
            let item = self.next();
            names.push(field_name(&item));
        }
        let kind = match node.kind {
            ArgKind::Field(mut first) => {
                first.append(&mut names);
                ArgKind::Field(first)
            }
            ArgKind::Variable(mut first) => {
                first.append(&mut names);
                ArgKind::Variable(first)
            }
            ArgKind::Bool(_) | ArgKind::Str { .. } | ArgKind::Number(_) | ArgKind::Nil | ArgKind::Dot => {
                let term = quote::quote(node.text().as_bytes());
                return Err(self.error(&format!("unexpected . after term {term}")));
            }
            ArgKind::Identifier(_) | ArgKind::Pipe(_) | ArgKind::Chain(..) => {
                ArgKind::Chain(Box::new(node), names)
            }
        };
        Ok(Some(Arg { pos, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Arg>> {
        let token = self.next_non_space();
        let kind = match token.typ {
            Tok::Identifier => {
                let name = token.text();
                if !self.functions.contains(&name) {
                    return Err(self.error(&format!("function {} not defined", quote::quote(&token.val))));
                }
                ArgKind::Identifier(name.into())
            }
            Tok::Dot => ArgKind::Dot,
            Tok::Nil => ArgKind::Nil,
            Tok::Variable => {
                let name: Rc<str> = token.text().into();
                if !self.vars.contains(&name) {
                    return Err(self.error(&format!("undefined variable {}", quote::quote(&token.val))));
                }
                ArgKind::Variable(vec![name])
            }
            Tok::Field => ArgKind::Field(vec![field_name(&token)]),
            Tok::Bool => ArgKind::Bool(token.val == b"true"),
            Tok::CharConstant | Tok::Complex | Tok::Number => ArgKind::Number(
                number::parse(&token.text(), token.typ).map_err(|message| self.error(&message))?,
            ),
            Tok::LeftParen => ArgKind::Pipe(self.pipeline("parenthesized pipeline", Tok::RightParen)?),
            Tok::String | Tok::RawString => {
                let text = quote::unquote(&token.val).ok_or_else(|| self.error("invalid syntax"))?;
                ArgKind::Str { quoted: token.text().into_owned(), value: Value::str(text) }
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Arg { pos: token.pos, kind }))
    }
}

fn field_name(item: &Item) -> Rc<str> {
    String::from_utf8_lossy(&item.val[1..]).into()
}

fn end_text(end: &End) -> &'static str {
    match end {
        End::End => "{{end}}",
        End::Else => "{{else}}",
    }
}
