//! Commands, arguments, fields and function calls.

use super::{Exec, MissingKey, Rv, Step};
use crate::{
    func::{Body, Function, Ty},
    object::Method,
    parse::node::{Arg, ArgKind, At, Command, Number},
    value::{MapKind, Str, Value},
};

impl<'a> Exec<'a> {
    pub(super) fn command(&mut self, dot: &Rv, command: &'a Command, last: Option<Rv>) -> Step<Rv> {
        let first = &command.args[0];
        match &first.kind {
            ArgKind::Field(names) => {
                self.at = At::Arg(first);
                let names: &'a [_] = names;
                return self.fields(dot, dot.clone(), names, Some((first, &command.args[1..])), last, first);
            }
            ArgKind::Chain(node, names) => {
                self.at = At::Arg(first);
                return self.chain(dot, first, node, names, &command.args[1..], last);
            }
            ArgKind::Identifier(name) => {
                self.at = At::Arg(first);
                return self.function(dot, name, At::Command(command), &command.args[1..], last);
            }
            ArgKind::Pipe(_) => {
                self.not_a_function(&command.args, last.as_ref())?;
                return self.sub_pipeline(dot, first);
            }
            ArgKind::Variable(names) => {
                self.at = At::Arg(first);
                let value = self.variable(&names[0])?;
                if names.len() == 1 {
                    self.not_a_function(&command.args, last.as_ref())?;
                    return Ok(value);
                }
                return self.fields(dot, value, &names[1..], Some((first, &command.args[1..])), last, first);
            }
            _ => {}
        }
        self.at = At::Arg(first);
        self.not_a_function(&command.args, last.as_ref())?;
        match &first.kind {
            ArgKind::Dot => Ok(dot.clone()),
            ArgKind::Nil => self.fail("nil is not a command"),
            _ => self.literal(dot, first),
        }
    }

    fn not_a_function(&self, args: &[Arg], last: Option<&Rv>) -> Step<()> {
        if args.len() > 1 || last.is_some() {
            return self.fail(&format!("can't give argument to non-function {}", args[0].text()));
        }
        Ok(())
    }

    fn chain(
        &mut self,
        dot: &Rv,
        chain: &'a Arg,
        node: &'a Arg,
        names: &'a [std::rc::Rc<str>],
        args: &'a [Arg],
        last: Option<Rv>,
    ) -> Step<Rv> {
        if matches!(node.kind, ArgKind::Nil) {
            return self.fail(&format!("indirection through explicit nil in {}", chain.text()));
        }
        self.at = At::Arg(node);
        let receiver = match &node.kind {
            ArgKind::Pipe(_) => self.sub_pipeline(dot, node)?,
            ArgKind::Identifier(name) => {
                let mut value = self.function(dot, name, At::Arg(node), &[], None)?;
                value.iface = false;
                value
            }
            _ => self.argument(dot, Ty::Any, node).map(Rv::concrete)?,
        };
        self.fields(dot, receiver, names, Some((chain, args)), last, chain)
    }

    /// A chain of fields; the last may be a method taking the arguments.
    fn fields(
        &mut self,
        dot: &Rv,
        mut receiver: Rv,
        names: &'a [std::rc::Rc<str>],
        call: Option<(&'a Arg, &'a [Arg])>,
        last: Option<Rv>,
        node: &'a Arg,
    ) -> Step<Rv> {
        let (final_name, links) = match names.split_last() {
            Some(split) => split,
            None => return Ok(receiver),
        };
        for name in links {
            receiver = self.field(dot, name, node, &[], None, receiver)?;
        }
        let args = call.map_or(&[][..], |(_, args)| args);
        self.field(dot, final_name, node, args, last, receiver)
    }

    fn field(
        &mut self,
        dot: &Rv,
        name: &str,
        node: &'a Arg,
        args: &'a [Arg],
        last: Option<Rv>,
        receiver: Rv,
    ) -> Step<Rv> {
        if receiver.is_invalid() {
            if self.engine.missing_key == MissingKey::Error {
                return self
                    .fail(&format!("nil data; no entry for key {}", crate::quote::quote(name.as_bytes())));
            }
            return Ok(receiver);
        }
        let has_args = !args.is_empty() || last.is_some();
        match &receiver.value {
            Value::Nil => self.fail(&format!("nil pointer evaluating interface {{}}.{name}")),
            Value::Map(map) => {
                if map.kind() == MapKind::Values
                    && let Some(method) = crate::builtins::values_method(name)
                {
                    let map = receiver.value.clone();
                    return self.method(dot, name, node, method, args, last, |args| {
                        crate::builtins::call_values_method(&map, name, args)
                    });
                }
                if map.kind() == MapKind::Values
                    && let Some(function) = self.engine.functions.get(&format!("Values.{name}"))
                    && let Body::Plain(call) = function.body
                {
                    let values = receiver.value.clone();
                    return self.method(dot, name, node, Method::NONE, args, last, |_| call(&[values]));
                }
                if has_args {
                    return self.fail(&format!("{name} is not a method but has arguments"));
                }
                if let Some(value) = map.get(name.as_bytes()) {
                    return Ok(Rv { value, iface: !map.kind().is_strings() });
                }
                match self.engine.missing_key {
                    MissingKey::Default => Ok(Rv::concrete(Value::Nil)),
                    MissingKey::Zero if map.kind().is_strings() => Ok(Rv::concrete(Value::from(""))),
                    MissingKey::Zero => Ok(Rv::iface(Value::Nil)),
                    MissingKey::Error => self
                        .fail(&format!("map has no entry for key {}", crate::quote::quote(name.as_bytes()))),
                }
            }
            Value::Object(object) => {
                let object = object.clone();
                if let Some(method) = object.method(name) {
                    return self.method(dot, name, node, method, args, last, |args| object.call(name, args));
                }
                if let Some(value) = object.field(name) {
                    if has_args {
                        return self.fail(&format!("{name} has arguments but cannot be invoked as function"));
                    }
                    return Ok(Rv::concrete(value));
                }
                if let Some(entries) = object.as_entries() {
                    if has_args {
                        return self.fail(&format!("{name} is not a method but has arguments"));
                    }
                    let found = entries.into_iter().find(|(key, _)| &key[..] == name.as_bytes());
                    return Ok(Rv::concrete(found.map_or(Value::Bytes(Str::from("")), |(_, value)| value)));
                }
                self.cannot_evaluate(name, &receiver)
            }
            _ => self.cannot_evaluate(name, &receiver),
        }
    }

    fn cannot_evaluate(&self, name: &str, receiver: &Rv) -> Step<Rv> {
        self.fail(&format!("can't evaluate field {name} in type {}", receiver.type_name()))
    }

    #[expect(clippy::too_many_arguments, reason = "a call is its receiver, name, place, types and arguments")]
    fn method(
        &mut self,
        dot: &Rv,
        name: &str,
        node: &'a Arg,
        method: Method,
        args: &'a [Arg],
        last: Option<Rv>,
        call: impl FnOnce(&[Value]) -> Step<Value>,
    ) -> Step<Rv> {
        let values = self.arguments(dot, name, method.params, method.variadic, args, last)?;
        match call(&values) {
            Ok(value) => Ok(Rv::concrete(value)),
            Err(error) => {
                self.at = At::Arg(node);
                Err(self.error(&format!("error calling {name}: "), Some(error)))
            }
        }
    }

    fn function(
        &mut self,
        dot: &Rv,
        name: &str,
        node: At<'a>,
        args: &'a [Arg],
        last: Option<Rv>,
    ) -> Step<Rv> {
        self.engine.meter.step()?;
        let engine = self.engine;
        let Some(function) = engine.functions.get(name) else {
            return self.fail(&format!("{} is not a defined function", crate::quote::quote(name.as_bytes())));
        };
        if let Body::And | Body::Or = function.body {
            return self.short_circuit(dot, name, function, args, last);
        }
        let values = self.arguments(dot, name, function.params, function.variadic, args, last)?;
        let result = match &function.body {
            Body::Plain(f) => f(&values),
            Body::Host(f) => f(self, &values),
            Body::And | Body::Or => Ok(Value::Nil),
        };
        match result {
            Ok(value) => {
                if let Value::Str(text) = &value
                    && text.len() > 4096
                {
                    self.engine.meter.spend(text.len() / 256)?;
                }
                Ok(Rv::concrete(value))
            }
            Err(error) if error.kind() == crate::error::ErrorKind::Limit => Err(error),
            Err(error) => {
                self.at = node;
                let error = match (name, args, values.first()) {
                    // A literal or piped nil has no type at all; a missing value as operand has one.
                    ("len", [Arg { kind: ArgKind::Nil, .. }] | [], Some(Value::Nil)) => {
                        crate::error::Error::plain("reflect: call of reflect.Value.Type on zero Value")
                    }
                    // There are no functions among values; the message shows the operand as written.
                    ("call", [operand, ..], Some(value)) if !matches!(value, Value::Nil) => {
                        let (text, name) = (operand.text(), value.type_name());
                        crate::error::Error::plain(format!("non-function {text} of type {name}"))
                    }
                    _ => error,
                };
                Err(self.error(&format!("error calling {name}: "), Some(error)))
            }
        }
    }

    fn short_circuit(
        &mut self,
        dot: &Rv,
        name: &str,
        function: &Function,
        args: &'a [Arg],
        last: Option<Rv>,
    ) -> Step<Rv> {
        self.check_count(name, function.params, function.variadic, args.len(), last.is_some())?;
        let stop_at = matches!(function.body, Body::Or);
        let mut value = Value::Nil;
        for arg in args {
            value = self.argument(dot, Ty::Reflect, arg)?;
            if value.truth() == stop_at {
                return Ok(Rv::concrete(value));
            }
        }
        Ok(Rv::concrete(last.map_or(value, |last| last.value)))
    }

    fn check_count(
        &self,
        name: &str,
        params: &[Ty],
        variadic: Option<Ty>,
        given: usize,
        piped: bool,
    ) -> Step<()> {
        let count = given + usize::from(piped);
        if variadic.is_some() {
            if count < params.len() {
                let want = params.len();
                return self
                    .fail(&format!("wrong number of args for {name}: want at least {want} got {given}"));
            }
        } else if count != params.len() {
            return self.fail(&format!("wrong number of args for {name}: want {} got {count}", params.len()));
        }
        Ok(())
    }

    fn arguments(
        &mut self,
        dot: &Rv,
        name: &str,
        params: &[Ty],
        variadic: Option<Ty>,
        args: &'a [Arg],
        last: Option<Rv>,
    ) -> Step<Vec<Value>> {
        self.check_count(name, params, variadic, args.len(), last.is_some())?;
        let mut values = Vec::with_capacity(args.len() + 1);
        let ty = |i: usize| params.get(i).copied().or(variadic).unwrap_or(Ty::Any);
        for (i, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, ty(i), arg)?);
        }
        if let Some(last) = last {
            values.push(self.validate(last, ty(args.len()))?);
        }
        Ok(values)
    }

    fn argument(&mut self, dot: &Rv, ty: Ty, arg: &'a Arg) -> Step<Value> {
        self.at = At::Arg(arg);
        let value = match &arg.kind {
            ArgKind::Dot => dot.clone(),
            ArgKind::Nil => {
                if ty.can_be_nil() {
                    return Ok(zero(ty));
                }
                return self.fail(&format!("cannot assign nil to {}", ty.name()));
            }
            ArgKind::Field(names) => self.fields(dot, dot.clone(), names, None, None, arg)?,
            ArgKind::Variable(names) => {
                let value = self.variable(&names[0])?;
                self.fields(dot, value, &names[1..], None, None, arg)?
            }
            ArgKind::Pipe(_) => self.sub_pipeline(dot, arg)?,
            ArgKind::Identifier(name) => self.function(dot, name, At::Arg(arg), &[], None)?,
            ArgKind::Chain(node, names) => self.chain(dot, arg, node, names, &[], None)?,
            ArgKind::Bool(_) | ArgKind::Str { .. } | ArgKind::Number(_) => {
                return self.literal_argument(dot, ty, arg);
            }
        };
        self.validate(value, ty)
    }

    fn literal_argument(&mut self, dot: &Rv, ty: Ty, arg: &'a Arg) -> Step<Value> {
        let found = |what: &str| format!("expected {what}; found {}", arg.text());
        match (ty, &arg.kind) {
            (Ty::Any | Ty::Reflect, _) => Ok(self.literal(dot, arg)?.value),
            (Ty::Bool, ArgKind::Bool(b)) => Ok(Value::Bool(*b)),
            (Ty::Bool, _) => self.fail(&found("bool")),
            (Ty::Str, ArgKind::Str { value, .. }) => Ok(value.clone()),
            (Ty::Str, _) => self.fail(&found("string")),
            (Ty::Int, ArgKind::Number(Number { int: Some(i), .. })) => Ok(Value::Int(*i)),
            (Ty::Int64, ArgKind::Number(Number { int: Some(i), .. })) => Ok(Value::Int64(*i)),
            (Ty::Int | Ty::Int64, _) => self.fail(&found("integer")),
            (Ty::Uint32, ArgKind::Number(Number { uint: Some(u), .. })) => {
                Ok(Value::Uint64(u64::from(*u as u32)))
            }
            (Ty::Uint32, _) => self.fail(&found("unsigned integer")),
            (Ty::Float, ArgKind::Number(Number { float: Some(f), .. })) => Ok(Value::Float(*f)),
            (Ty::Float, _) => self.fail(&found("float")),
            _ => self.fail(&format!("can't handle {} for arg of type {}", arg.text(), ty.name())),
        }
    }

    /// Constants of no particular type: a number is an int unless it is written like a float.
    fn literal(&mut self, dot: &Rv, arg: &'a Arg) -> Step<Rv> {
        Ok(Rv::concrete(match &arg.kind {
            ArgKind::Bool(b) => Value::Bool(*b),
            ArgKind::Str { value, .. } => value.clone(),
            ArgKind::Number(number) => return self.constant(number),
            ArgKind::Dot => return Ok(dot.clone()),
            _ => {
                return self
                    .fail(&format!("can't evaluate command {}", crate::quote::quote(arg.text().as_bytes())));
            }
        }))
    }

    fn constant(&mut self, number: &Number) -> Step<Rv> {
        let text = &number.text;
        let hex_int = text.len() > 2
            && (text.starts_with("0x") || text.starts_with("0X"))
            && !text.contains(['p', 'P']);
        let value = if let Some((re, im)) = number.complex {
            Value::Complex(re, im)
        } else if let Some(f) = number.float
            && !hex_int
            && !number.is_char
            && text.contains(['.', 'e', 'E', 'p', 'P'])
        {
            Value::Float(f)
        } else if let Some(i) = number.int {
            Value::Int(i)
        } else {
            return self.fail(&format!("{text} overflows int"));
        };
        Ok(Rv::concrete(value))
    }

    /// Go's assignability of a value to a parameter.
    fn validate(&self, value: Rv, ty: Ty) -> Step<Value> {
        if value.is_invalid() {
            if ty.can_be_nil() {
                return Ok(zero(ty));
            }
            return self.fail(&format!("invalid value; expected {}", ty.name()));
        }
        let fits = match (ty, &value.value) {
            (Ty::Any | Ty::Reflect, _)
            | (Ty::Str, Value::Str(_))
            | (Ty::Bool, Value::Bool(_))
            | (Ty::Int, Value::Int(_))
            | (Ty::Int64, Value::Int64(_))
            | (Ty::Float, Value::Float(_))
            | (Ty::Bytes, Value::Bytes(_)) => true,
            // A named map type is assignable to the type it names.
            (Ty::Map, Value::Map(map)) => !map.kind().is_strings(),
            (Ty::List, Value::List(list)) => list.elem() == crate::value::Elem::Any,
            (Ty::Strings, Value::List(list)) => list.elem() == crate::value::Elem::Str,
            (Ty::Strings, Value::Object(object)) => {
                object.as_list().is_some_and(|list| list.elem() == crate::value::Elem::Str)
            }
            (Ty::Time, Value::Object(object)) => object.type_name() == "time.Time",
            (Ty::Named(name), Value::Object(object)) => object.type_name() == name,
            _ => false,
        };
        if fits {
            return Ok(match value.value {
                Value::Map(map) if ty == Ty::Map && map.kind() == MapKind::Values => {
                    Value::Map(map.converted(MapKind::Any))
                }
                other => other,
            });
        }
        let got =
            if matches!(value.value, Value::Nil) { "interface {}".into() } else { value.value.type_name() };
        self.fail(&format!("wrong type for value; expected {}; got {got}", ty.name()))
    }
}

/// What an omitted nil becomes for a parameter of a nilable type.
fn zero(ty: Ty) -> Value {
    use crate::value::{Elem, List, Map};
    match ty {
        Ty::Map => Value::Map(Map::new(MapKind::NilAny)),
        Ty::List => Value::List(List::nil(Elem::Any)),
        Ty::Strings => Value::List(List::nil(Elem::Str)),
        Ty::Bytes => Value::Bytes(Str::from("")),
        _ => Value::Nil,
    }
}
