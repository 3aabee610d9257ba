//! The Helm engine: charts and values in, manifests, hooks and releases out.
//!
//! ```text
//! Tree or .tgz ─▶ Chart ─┐
//!                        ├─▶ dependencies ─▶ values ─▶ schema ─▶ templates ─▶ split, sort ─▶ Rendered ─▶ Release
//! -f, --set ─▶ Map ──────┘   (conditions,    (defaults,                       (hooks, kinds)            (stored record)
//!                             aliases)        globals)
//! ```
//!
//! For whoever renders charts or reads Helm's releases without Helm: everything is computed in memory, byte for byte as
//! Helm 4.3 does it, so that `sha256sum` annotations and stored manifests do not change when Helm is left behind.
//!
//! ```
//! use ferrite_helm::{Chart, Request, render};
//! use ferrite_tree::{MemoryTree, TreePath};
//!
//! let mut files = MemoryTree::builder();
//! files.insert("Chart.yaml", b"apiVersion: v2\nname: web\nversion: 1.0.0\n", false)?;
//! files.insert("values.yaml", b"replicas: 1\n", false)?;
//! files.insert("templates/d.yaml", b"kind: Deployment\nspec: {replicas: {{ .Values.replicas }}}\n", false)?;
//! let chart = Chart::from_tree(&files.build(), &TreePath::new(".")?)?;
//! let values = ferrite_helm::decode_values("replicas: 3")?;
//! let rendered = render(&chart, &values, &Request::install("demo", "apps"))?;
//! assert_eq!(rendered.manifest, "---\n# Source: web/templates/d.yaml\nkind: Deployment\nspec: {replicas: 3}\n\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Invariants.** No clock (but sprig's `now`), no network, no cluster: `lookup` asks a [`Lookup`], DNS is off, schemas
//! are not fetched. Bounds: see [`MAX_FILE_BYTES`], [`MAX_CHART_BYTES`] and `ferrite_gotemplate::Limits`.
//! Where Helm's order is random (subcharts, notes), ours is sorted. Applying, waiting and storing are not done here.

mod capabilities;
mod chart;
pub mod command;
mod dependencies;
mod error;
mod functions;
mod glob;
mod go_yaml;
mod ignore;
mod load;
mod manifest;
mod metadata;
pub mod next_step;
mod objects;
mod post_render;
mod release;
mod render;
mod reuse;
mod schema;
mod strvals;
mod template;
mod toml;
mod values;
mod yaml_v3;

pub use capabilities::{Capabilities, HELM_VERSION, KubeVersion};
pub use chart::{Chart, File, Lock};
pub use error::Error;
pub use functions::{Lookup, Strictness};
pub use go_yaml::{YamlError, decode_values};
pub use load::{MAX_CHART_BYTES, MAX_FILE_BYTES, read_metadata};
pub use manifest::{Event, Hook, HookRun, Manifest, hooks_for, install_rank, uninstall_rank};
pub use metadata::{Dependency, Maintainer, Metadata};
pub use post_render::{PostRender, Strategy};
pub use release::{ApplyMethod, Release, SECRET_TYPE, Status, go_json, storage_name, surplus};
pub use render::{ReleaseInfo, RenderOptions};
pub use reuse::{Reused, reuse_values};
pub use schema::against as check_schema;
pub use strvals::{Mode, parse_into as set_values};
pub use template::{Rendered, Request, check_installable, check_release_name, enabled_crds, render};
pub use values::merge_files as merge_values;
