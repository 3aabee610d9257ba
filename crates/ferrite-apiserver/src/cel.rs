//! Rules in CEL: the `x-kubernetes-validations` of custom resources.
//!
//! ```text
//! rule ─ lexer ─ syntax ─▶ tree ─ check (against the schema, when a definition is written) ─▶ refused or kept
//!                            └─── eval (over the object as it is and as it was) ─▶ causes of an Invalid status
//! ```
//!
//! Expressions see JSON through its schema, as Kubernetes' do: texts of some formats are times, integers and numbers
//! differ, fields that are null and may not be are absent. A budget of steps bounds what the rules of one object cost;
//! the cost of a rule is not estimated when its definition is written.

mod check;
mod definition;
mod eval;
mod lexer;
mod library;
mod policy;
mod rules;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use definition::check;
pub(crate) use policy::{Answer, Named, ask};
pub(crate) use rules::Rules;
