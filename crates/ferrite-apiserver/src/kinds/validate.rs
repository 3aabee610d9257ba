//! The rules of built-in kinds, with Kubernetes' own sentences.

use serde_json::Value;

use crate::resources::Resource;
use crate::server::Server;
use crate::status::Cause;

/// Checks a built-in object, and what of it may change when there is a live one.
pub(crate) fn object(
    server: &Server,
    resource: &Resource,
    sub: Option<&str>,
    live: Option<&Value>,
    object: &Value,
    out: &mut Vec<Cause>,
) {
    let _ = server;
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apiextensions.k8s.io", "customresourcedefinitions") if sub.is_none() => {
            crate::crd::check(object, out);
            if let Some(live) = live {
                crate::crd::check_update(live, object, out);
            }
        }
        _ => {}
    }
}
