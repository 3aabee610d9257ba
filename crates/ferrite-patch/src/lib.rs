//! Every meaning of a patch that Kubernetes has, each implemented once.
//!
//! ```text
//! RFC 6902 ──────────▶ json_patch::apply ───┐
//! RFC 7386 ──────────▶ merge_patch::apply ──┤
//! $patch: replace … ─▶ strategic::apply ────┼─▶ the patched JSON value, or an error in the API server's words
//! server-side apply ─▶ structured::apply ───┤   (structured also keeps metadata.managedFields)
//! any other write ───▶ structured::update ──┘
//! ```
//!
//! The API server, the kustomize engine and the apply engine use this one implementation. It works on JSON values, is
//! driven by [`ferrite_schema::Type`], and neither defaults, validates nor stores anything. Inputs are JSON values as a
//! parser with a depth limit makes them; recursion follows their depth.
//!
//! ```
//! use ferrite_patch::structured::{self, Scope, Write};
//! use ferrite_schema::Schemas;
//! use serde_json::json;
//!
//! let ty = Schemas::builtin().get("", "v1", "ConfigMap").expect("a built-in kind");
//! let write = Write {
//!     api_version: "v1", kind: "ConfigMap", manager: "alice", subresource: "",
//!     now: "2026-01-02T03:04:05Z", scope: Scope::Whole, versions: None,
//! };
//! let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
//! let made = structured::apply(None, &wanted, ty, &write, false)?;
//! assert_eq!(made.object["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {"f:k": {}}}));
//! # Ok::<(), structured::Error>(())
//! ```

mod go;
pub mod json_patch;
pub mod merge_patch;
pub mod strategic;
pub mod structured;
