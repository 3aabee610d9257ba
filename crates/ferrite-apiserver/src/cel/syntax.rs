//! The text of a rule as a tree.
//!
//! ```text
//! conditional ─ or ─ and ─ relation ─ addition ─ multiplication ─ unary ─ member ─ primary
//! ```
//!
//! Macros are nodes of their own, so that the checker and the evaluator see what was written.

use super::lexer::{Kind, Token, tokens};
use std::fmt;

/// Most bytes of an expression.
const MAX_BYTES: usize = 64 << 10;

/// Deepest tree: chains of operators count, too.
const MAX_DEPTH: u16 = 120;

/// Deepest nesting of brackets and conditionals, which each take a dozen calls to read.
const MAX_NESTING: u16 = 40;

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) expr: Expr,
    /// Where it stands in the text, in characters.
    pub(super) at: usize,
    depth: u16,
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a macro does with each element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Map,
    /// The values of a mapping, each computed anew.
    MapValues,
    Filter,
    SortBy,
}

/// The shape of a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Literal(Literal),
    Name(String),
    /// `of.field`, `of.?field`
    Select {
        of: Box<Node>,
        field: String,
        optional: bool,
    },
    /// `has(of.field)`
    Has {
        of: Box<Node>,
        field: String,
    },
    /// `of[key]`, `of[?key]`
    Index {
        of: Box<Node>,
        key: Box<Node>,
        optional: bool,
    },
    /// `name(…)`, `target.name(…)`
    Call {
        name: String,
        target: Option<Box<Node>>,
        arguments: Vec<Node>,
    },
    /// `target.macro(variable, filter, body)`; `all`, `exists` and their like may name the key, too.
    Each {
        what: Macro,
        of: Box<Node>,
        variables: Vec<String>,
        filter: Option<Box<Node>>,
        body: Box<Node>,
    },
    /// `target.optMap(variable, body)`, `target.optFlatMap(variable, body)`
    OptMap {
        of: Box<Node>,
        variable: String,
        body: Box<Node>,
        flat: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary {
        operator: &'static str,
        left: Box<Node>,
        right: Box<Node>,
    },
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
}

/// Text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.starts_with("invalid int literal") {
            true => f.write_str(&self.message),
            false => write!(f, "Syntax error: {}", self.message),
        }
    }
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Node> {
    if text.len() > MAX_BYTES {
        return Err(SyntaxError { at: 0, message: format!("an expression has at most {MAX_BYTES} bytes") });
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, nesting: 0 };
    let node = parser.conditional()?;
    match parser.peek() {
        Kind::End => Ok(node),
        _ => Err(parser.unexpected()),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    nesting: u16,
}

impl Parser {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&Kind::End, |t| &t.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |t| t.at)
    }

    fn take(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn unexpected(&self) -> SyntaxError {
        let found = match self.peek() {
            Kind::End => "<EOF>".to_owned(),
            Kind::Symbol(s) => (*s).to_owned(),
            Kind::Name(n) => n.clone(),
            Kind::Literal(_) => "literal".to_owned(),
        };
        SyntaxError { at: self.at(), message: format!("mismatched input '{found}'") }
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Kind::Symbol(s) if *s == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn node(&self, expr: Expr, at: usize) -> Result<Node> {
        let depth = 1 + expr.children().map(|n| n.depth).max().unwrap_or(0);
        if depth > MAX_DEPTH {
            return Err(SyntaxError { at, message: "expression recursion limit exceeded".to_owned() });
        }
        Ok(Node { expr, at, depth })
    }

    fn binary(&self, operator: &'static str, at: usize, left: Node, right: Node) -> Result<Node> {
        self.node(Expr::Binary { operator, left: left.into(), right: right.into() }, at)
    }

    fn conditional(&mut self) -> Result<Node> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(SyntaxError {
                at: self.at(),
                message: "expression recursion limit exceeded".to_owned(),
            });
        }
        let condition = self.levels(0)?;
        let at = self.at();
        let node = if self.symbol("?") {
            let then = self.levels(0)?.into();
            self.expect(":")?;
            let otherwise = self.conditional()?.into();
            self.node(Expr::Conditional { condition: condition.into(), then, otherwise }, at)
        } else {
            Ok(condition)
        };
        self.nesting -= 1;
        node
    }

    /// The binary operators, loosest first.
    fn levels(&mut self, level: usize) -> Result<Node> {
        const LEVELS: [&[&str]; 5] =
            [&["||"], &["&&"], &["<=", ">=", "<", ">", "==", "!=", "in"], &["+", "-"], &["*", "/", "%"]];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.levels(level + 1)?;
        loop {
            let at = self.at();
            let found = match self.peek() {
                Kind::Symbol(s) => operators.iter().find(|o| *o == s),
                Kind::Name(n) if n == "in" => operators.iter().find(|o| **o == "in"),
                Kind::Name(_) | Kind::Literal(_) | Kind::End => None,
            };
            let Some(operator) = found else { return Ok(left) };
            self.next += 1;
            let right = self.levels(level + 1)?;
            left = self.binary(operator, at, left, right)?;
        }
    }

    fn unary(&mut self) -> Result<Node> {
        let at = self.at();
        let mut operators = Vec::new();
        loop {
            if self.symbol("!") {
                operators.push('!');
            } else if self.symbol("-") {
                operators.push('-');
            } else {
                break;
            }
        }
        // Pairs of the same operator cancel out.
        let odd = operators.len() % 2 == 1;
        let mixed = operators.iter().any(|o| Some(o) != operators.first());
        if mixed {
            return Err(self.unexpected());
        }
        if operators == ['-'] {
            match self.peek().clone() {
                Kind::Literal(Literal::Int(n)) => {
                    self.next += 1;
                    let node = self.node(Expr::Literal(Literal::Int(n.wrapping_neg())), at)?;
                    return self.member(node);
                }
                Kind::Literal(Literal::Double(n)) => {
                    self.next += 1;
                    let node = self.node(Expr::Literal(Literal::Double(-n)), at)?;
                    return self.member(node);
                }
                _ => {}
            }
        }
        let primary = self.primary()?;
        let node = self.member(primary)?;
        match operators.first() {
            Some('!') if odd => self.node(Expr::Not(node.into()), at),
            Some(_) if odd => self.node(Expr::Negate(node.into()), at),
            _ => Ok(node),
        }
    }

    fn member(&mut self, mut node: Node) -> Result<Node> {
        loop {
            let at = self.at();
            if self.symbol(".") {
                let optional = self.symbol("?");
                let Kind::Name(name) = self.take() else {
                    self.next -= 1;
                    return Err(self.unexpected());
                };
                node = if !optional && self.symbol("(") {
                    let arguments = self.arguments(")")?;
                    self.method(node, name, arguments, at)?
                } else {
                    self.node(Expr::Select { of: node.into(), field: name, optional }, at)?
                };
            } else if self.symbol("[") {
                let optional = self.symbol("?");
                let key = self.conditional()?.into();
                self.expect("]")?;
                node = self.node(Expr::Index { of: node.into(), key, optional }, at)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn arguments(&mut self, close: &str) -> Result<Vec<Node>> {
        let mut arguments = Vec::new();
        while !self.symbol(close) {
            arguments.push(self.conditional()?);
            if !self.symbol(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Result<Node> {
        let at = self.at();
        match self.take() {
            // Only with a minus before it is this an int.
            Kind::Literal(Literal::Int(i64::MIN)) => {
                Err(SyntaxError { at, message: "invalid int literal".to_owned() })
            }
            Kind::Literal(literal) => self.node(Expr::Literal(literal), at),
            Kind::Name(name) => match name.as_str() {
                "true" | "false" => self.node(Expr::Literal(Literal::Bool(name == "true")), at),
                "null" => self.node(Expr::Literal(Literal::Null), at),
                "in" => {
                    self.next -= 1;
                    Err(self.unexpected())
                }
                _ if self.symbol("(") => {
                    let arguments = self.arguments(")")?;
                    self.function(name, arguments, at)
                }
                _ => self.node(Expr::Name(name), at),
            },
            Kind::Symbol("(") => {
                let node = self.conditional()?;
                self.expect(")")?;
                Ok(node)
            }
            Kind::Symbol("[") => {
                let items = self.arguments("]")?;
                self.node(Expr::List(items), at)
            }
            Kind::Symbol("{") => {
                let mut entries = Vec::new();
                while !self.symbol("}") {
                    let key = self.conditional()?;
                    self.expect(":")?;
                    entries.push((key, self.conditional()?));
                    if !self.symbol(",") {
                        self.expect("}")?;
                        break;
                    }
                }
                self.node(Expr::Map(entries), at)
            }
            Kind::Symbol(".") => self.primary(),
            Kind::Symbol(_) | Kind::End => {
                self.next -= 1;
                Err(self.unexpected())
            }
        }
    }

    fn function(&self, name: String, mut arguments: Vec<Node>, at: usize) -> Result<Node> {
        if name == "has" && arguments.len() == 1 {
            return match arguments.pop().map(|n| n.expr) {
                Some(Expr::Select { of, field, optional: false }) => self.node(Expr::Has { of, field }, at),
                _ => Err(SyntaxError { at, message: "invalid argument to has() macro".to_owned() }),
            };
        }
        self.node(Expr::Call { name, target: None, arguments }, at)
    }

    fn method(&self, target: Node, name: String, mut arguments: Vec<Node>, at: usize) -> Result<Node> {
        let variable = |node: &Node| match &node.expr {
            Expr::Name(name) => Ok(name.clone()),
            _ => Err(SyntaxError { at: node.at, message: "argument must be a simple name".to_owned() }),
        };
        let what = match (name.as_str(), arguments.len()) {
            ("all", 2 | 3) => Macro::All,
            ("exists", 2 | 3) => Macro::Exists,
            ("exists_one" | "existsOne", 2 | 3) => Macro::ExistsOne,
            ("map", 2 | 3) => Macro::Map,
            ("filter", 2) => Macro::Filter,
            ("transformList", 3 | 4) => Macro::Map,
            ("transformMap", 3 | 4) => Macro::MapValues,
            ("sortBy", 2) => Macro::SortBy,
            ("optMap" | "optFlatMap", 2) => {
                let flat = name == "optFlatMap";
                let (Some(body), Some(first)) = (arguments.pop(), arguments.pop()) else {
                    return Err(self.unexpected());
                };
                let variable = variable(&first)?;
                return self.node(Expr::OptMap { of: target.into(), variable, body: body.into(), flat }, at);
            }
            _ => return self.call(target, name, arguments, at),
        };
        let (Some(body), of) = (arguments.pop(), Box::new(target)) else { return Err(self.unexpected()) };
        // The middle argument of map is a filter, of the others a second variable.
        let variables = if name.starts_with("transform") { 2 } else { 1 };
        let maps = matches!(what, Macro::Map | Macro::MapValues);
        let filter = if maps && arguments.len() > variables { arguments.pop() } else { None };
        let variables = arguments.iter().map(variable).collect::<Result<_>>()?;
        let each = Expr::Each { what, of, variables, filter: filter.map(Box::new), body: body.into() };
        self.node(each, at)
    }

    /// A call of a method, or of a function whose name has a namespace: `optional.of(…)`.
    fn call(&self, target: Node, name: String, arguments: Vec<Node>, at: usize) -> Result<Node> {
        const NAMESPACES: [&str; 5] = ["optional", "sets", "ip", "lists", "strings"];
        if let Expr::Name(namespace) = &target.expr
            && NAMESPACES.contains(&namespace.as_str())
        {
            let name = format!("{namespace}.{name}");
            return self.node(Expr::Call { name, target: None, arguments }, at);
        }
        self.node(Expr::Call { name, target: Some(target.into()), arguments }, at)
    }
}

impl Expr {
    /// The nodes directly below.
    pub(super) fn children(&self) -> impl Iterator<Item = &Node> {
        let (boxed, slice, pairs): (Vec<&Node>, &[Node], &[(Node, Node)]) = match self {
            Self::Literal(_) | Self::Name(_) => (vec![], &[], &[]),
            Self::Select { of, .. } | Self::Has { of, .. } => (vec![of], &[], &[]),
            Self::Index { of, key, .. } => (vec![of, key], &[], &[]),
            Self::Call { target, arguments, .. } => (target.iter().map(|t| &**t).collect(), arguments, &[]),
            Self::Each { of, filter, body, .. } => {
                (std::iter::once(&**of).chain(filter.as_deref()).chain([&**body]).collect(), &[], &[])
            }
            Self::OptMap { of, body, .. } => (vec![of, body], &[], &[]),
            Self::List(items) => (vec![], items, &[]),
            Self::Map(entries) => (vec![], &[], entries),
            Self::Not(of) | Self::Negate(of) => (vec![of], &[], &[]),
            Self::Binary { left, right, .. } => (vec![left, right], &[], &[]),
            Self::Conditional { condition, then, otherwise } => (vec![condition, then, otherwise], &[], &[]),
        };
        boxed.into_iter().chain(slice).chain(pairs.iter().flat_map(|(k, v)| [k, v]))
    }
}

impl Node {
    /// Whether a free variable of this name is used.
    pub(super) fn uses(&self, name: &str) -> bool {
        match &self.expr {
            Expr::Name(n) => n == name,
            expr => expr.children().any(|n| n.uses(name)),
        }
    }
}
