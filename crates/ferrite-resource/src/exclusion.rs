//! Labels and annotations by which a person keeps an object from being touched.

use serde_json::Value;

/// The prefix of every label and annotation of Kustomizations.
pub(crate) const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// How an object is applied (`kustomize.toolkit.fluxcd.io/ssa`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SsaMode {
    /// Fields set by kubectl are taken over, and reverted or removed.
    Override,
    /// Fields set by others stay as long as they do not conflict.
    Merge,
    /// Created when missing, never touched afterwards.
    IfNotPresent,
    /// Never touched, never pruned.
    Ignore,
}

/// Why an object is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// `reconcile: disabled` on the desired or the live object.
    ReconcileDisabled,
    /// `ssa: Ignore` on the desired or the live object.
    SsaIgnore,
    /// `ssa: IfNotPresent` on the desired object, and the live one exists.
    Present,
}

/// Whether a label or an annotation `kustomize.toolkit.fluxcd.io/<key>` has this value, ignoring its case.
fn marked(object: &Value, key: &str, value: &str) -> bool {
    let key = format!("{GROUP}/{key}");
    ["labels", "annotations"].iter().any(|place| {
        object
            .get("metadata")
            .and_then(|meta| meta.get(place))
            .and_then(|map| map.get(&key))
            .and_then(Value::as_str)
            .is_some_and(|have| have.eq_ignore_ascii_case(value))
    })
}

/// The mode that an object asks for.
#[must_use]
pub fn ssa_mode(object: &Value) -> SsaMode {
    for (value, mode) in
        [("Ignore", SsaMode::Ignore), ("IfNotPresent", SsaMode::IfNotPresent), ("Merge", SsaMode::Merge)]
    {
        if marked(object, "ssa", value) {
            return mode;
        }
    }
    SsaMode::Override
}

/// Whether `desired` is to be applied over `live`.
///
/// # Errors
///
/// Why not.
pub fn applies(desired: &Value, live: Option<&Value>) -> Result<(), Exclusion> {
    let either =
        |key, value| marked(desired, key, value) || live.is_some_and(|live| marked(live, key, value));
    if either("reconcile", "disabled") {
        return Err(Exclusion::ReconcileDisabled);
    }
    if either("ssa", "Ignore") {
        return Err(Exclusion::SsaIgnore);
    }
    if live.is_some() && marked(desired, "ssa", "IfNotPresent") {
        return Err(Exclusion::Present);
    }
    Ok(())
}

/// Whether an immutable change may be made by deleting and creating the object (`force: enabled`).
#[must_use]
pub fn forced(desired: &Value, live: Option<&Value>) -> bool {
    marked(desired, "force", "enabled") || live.is_some_and(|live| marked(live, "force", "enabled"))
}

/// Whether nothing on the live object forbids its deletion.
#[must_use]
pub fn prunes(live: &Value) -> bool {
    !(marked(live, "prune", "disabled")
        || marked(live, "reconcile", "disabled")
        || marked(live, "ssa", "Ignore"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(place: &str, key: &str, value: &str) -> Value {
        json!({"metadata": {place: {format!("kustomize.toolkit.fluxcd.io/{key}"): value}}})
    }

    #[test]
    fn exclusions_are_read_from_both_sides_and_whatever_the_case() {
        let plain = json!({});
        for (desired, live, expect) in [
            (plain.clone(), None, Ok(())),
            (with("annotations", "reconcile", "Disabled"), None, Err(Exclusion::ReconcileDisabled)),
            (plain.clone(), Some(with("labels", "reconcile", "disabled")), Err(Exclusion::ReconcileDisabled)),
            (plain.clone(), Some(with("annotations", "ssa", "ignore")), Err(Exclusion::SsaIgnore)),
            (with("annotations", "ssa", "IfNotPresent"), None, Ok(())),
            (with("annotations", "ssa", "IfNotPresent"), Some(plain.clone()), Err(Exclusion::Present)),
            (plain.clone(), Some(with("annotations", "ssa", "IfNotPresent")), Ok(())),
        ] {
            assert_eq!(applies(&desired, live.as_ref()), expect, "{desired} over {live:?}");
        }
    }

    #[test]
    fn prune_skips_objects_marked_disabled() {
        assert!(prunes(&json!({})));
        for (key, value) in [("prune", "disabled"), ("reconcile", "disabled"), ("ssa", "Ignore")] {
            assert!(!prunes(&with("annotations", key, value)), "{key}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!(ssa_mode(&json!({})), SsaMode::Override);
        assert_eq!(ssa_mode(&with("annotations", "ssa", "merge")), SsaMode::Merge);
    }
}
