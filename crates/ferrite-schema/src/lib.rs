//! What Kubernetes knows of types: its own and those of custom resources.
//!
//! ```text
//! data/builtin.txt.gz ─▶ Schemas::builtin() ─┐
//!                                            ├─▶ Type ─▶ normalize · unknown fields · defaults · prune · validate
//! CRD schema ─▶ Type::from_crd_schema ───────┘            (and ferrite-patch: merges by list and map type)
//! ```
//!
//! Use it wherever an object must be read as the API server reads it. It evaluates no CEL, keeps no state and opens
//! nothing: the built-in types are embedded, and each is parsed when it is first asked for.
//!
//! ```
//! use ferrite_schema::{ListType, Schemas};
//!
//! let deployment = Schemas::builtin().get("apps", "v1", "Deployment").expect("a built-in kind");
//! let pod = deployment.child("spec").and_then(|s| s.child("template")).and_then(|t| t.child("spec")).expect("declared");
//! assert_eq!(pod.merge_key("containers"), Some("name"));
//! assert_eq!(pod.child("containers").expect("declared").list, ListType::Map(vec!["name".into()]));
//! ```

mod builtin;
mod crd;
mod decode;
mod fill;
mod go;
mod problem;
mod rules;
mod structural;
mod types;
mod validate;

#[cfg(test)]
mod tests;

pub use builtin::Schemas;
pub use decode::{decode_error, embedded_objects};
pub use fill::{default, prune, unknown_fields};
pub use go::{empty_object, normalize};
pub use problem::Problem;
pub use rules::Rules;
pub use structural::{check_schema, field_at};
pub use types::{Field, Go, Kind, ListType, Patch, Ref, Type};
pub use validate::validate;
