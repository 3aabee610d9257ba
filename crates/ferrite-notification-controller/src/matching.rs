//! Which alerts an event concerns. Pure.

use std::collections::BTreeMap;

use ferrite_api::notification::{AlertSpec, CrossNamespaceObjectReference, EventSeverity};
use regex::{Regex, RegexBuilder};

use crate::event::{Event, Severity};

/// Bytes a compiled expression may take; more is treated as invalid.
const REGEX_BYTES: usize = 1 << 20;

/// What one source of an alert says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceMatch<'a> {
    /// Not concerned.
    No,
    /// Concerned.
    Yes,
    /// Concerned if the involved object carries all these labels.
    IfLabels(&'a BTreeMap<String, String>),
}

/// Whether `source` of an alert in `alert_namespace` names the event's object.
///
/// A namespace of `*` means every namespace, but only where `any_namespace` allows it (an extension of ours).
#[must_use]
pub fn source_match<'a>(
    source: &'a CrossNamespaceObjectReference,
    alert_namespace: &str,
    event: &Event,
    any_namespace: bool,
) -> SourceMatch<'a> {
    let object = &event.involved_object;
    let namespace = source.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or(alert_namespace);
    let in_namespace = namespace == object.namespace || namespace == "*" && any_namespace;
    let named = source.name == "*" || source.name == object.name;
    if !in_namespace || !named || source.kind != object.kind {
        return SourceMatch::No;
    }
    // Empty labels are asked for as well, so that an object that is gone matches no alert of theirs, as in Flux.
    source.match_labels.as_ref().map_or(SourceMatch::Yes, SourceMatch::IfLabels)
}

/// Whether an alert of this severity wants the event.
#[must_use]
pub fn wants_severity(spec: &AlertSpec, event: &Event) -> bool {
    spec.event_severity != EventSeverity::Error || event.severity() == Severity::Error
}

/// The message filters of an alert, compiled once.
#[derive(Debug, Default)]
pub struct Filters {
    inclusion: Option<Vec<Regex>>,
    exclusion: Vec<Regex>,
    /// One sentence for each expression that does not compile.
    pub problems: Vec<String>,
}

impl Filters {
    /// Compiles the filters; expressions that do not compile are left out and told. A list of invalid inclusions only
    /// lets nothing through, as in Flux.
    #[must_use]
    pub fn compile(inclusion: &[String], exclusion: &[String]) -> Self {
        let mut problems = Vec::new();
        let mut all = |list: &[String], name: &str| {
            let mut compiled = Vec::new();
            for text in list {
                match RegexBuilder::new(text).size_limit(REGEX_BYTES).build() {
                    Ok(regex) => compiled.push(regex),
                    Err(_) => problems.push(format!("failed to compile {name} regex: {text}")),
                }
            }
            compiled
        };
        let compiled = all(inclusion, "inclusion");
        let inclusion = (!inclusion.is_empty()).then_some(compiled);
        let exclusion = all(exclusion, "exclusion");
        Self { inclusion, exclusion, problems }
    }

    /// Whether a message is one of those not to tell.
    #[must_use]
    pub fn excludes(&self, message: &str) -> bool {
        self.exclusion.iter().any(|regex| regex.is_match(message))
    }

    /// Whether a message passes.
    #[must_use]
    pub fn pass(&self, message: &str) -> bool {
        let included =
            self.inclusion.as_ref().is_none_or(|all| all.iter().any(|regex| regex.is_match(message)));
        included && !self.excludes(message)
    }
}

/// What stands between an alert that matched and its provider (spec of Flux, in its order).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Send.
    Open,
    /// Say nothing.
    Skip,
    /// The provider speaks about commits, and the event names none.
    NoCommit,
    /// The provider comments on pull requests, and the event names none.
    NoChangeRequest,
}

/// Provider types that set the status of a commit.
pub const COMMIT_STATUS: &[&str] =
    &["github", "gitlab", "gitea", "bitbucketserver", "bitbucket", "azuredevops"];
/// Provider types that comment on a pull or merge request.
pub const COMMENTS: &[&str] =
    &["githubpullrequestcomment", "gitlabmergerequestcomment", "giteapullrequestcomment"];

/// Decides for one provider type whether the event (with its prefixed metadata) goes out.
#[must_use]
pub fn gate(provider_type: &str, suspended: bool, event: &Event) -> Gate {
    let status = COMMIT_STATUS.contains(&provider_type);
    let update = event.is_commit_status_update();
    let of_event = |key: &str| event.metadata.get(&format!("{}{key}", crate::event::EVENT_PREFIX));
    if suspended || update && !status && !matches!(provider_type, "generic" | "generic-hmac") {
        return Gate::Skip;
    }
    if status && of_event("commit").is_none() && !update && !event.is_error() {
        return Gate::NoCommit;
    }
    if COMMENTS.contains(&provider_type) && of_event("change_request").is_none_or(String::is_empty) {
        return Gate::NoChangeRequest;
    }
    Gate::Open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(json: serde_json::Value) -> CrossNamespaceObjectReference {
        serde_json::from_value(json).unwrap()
    }

    fn event() -> Event {
        crate::providers::tests::event("info")
    }

    #[test]
    fn sources_match_by_kind_name_and_namespace() {
        let check = |json: serde_json::Value, any: bool| {
            source_match(&source(json), "flux-system", &event(), any) == SourceMatch::Yes
        };
        let json = |kind: &str, name: &str, namespace: Option<&str>| serde_json::json!({"kind": kind, "name": name, "namespace": namespace});
        assert!(check(json("Kustomization", "*", None), false));
        assert!(check(json("Kustomization", "apps", Some("flux-system")), false));
        assert!(!check(json("Kustomization", "other", None), false));
        assert!(!check(json("HelmRelease", "*", None), false));
        assert!(!check(json("Kustomization", "*", Some("team")), false));
        assert!(!check(json("Kustomization", "*", Some("*")), false));
        assert!(check(json("Kustomization", "*", Some("*")), true));
    }

    #[test]
    fn labels_are_asked_for() {
        let source =
            source(serde_json::json!({"kind": "Kustomization", "name": "*", "matchLabels": {"team": "a"}}));
        let expect = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        assert_eq!(source_match(&source, "flux-system", &event(), false), SourceMatch::IfLabels(&expect));
    }

    #[test]
    fn messages_pass_inclusion_and_not_exclusion() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        let check = |inclusion: &[&str], exclusion: &[&str], message: &str| {
            Filters::compile(&list(inclusion), &list(exclusion)).pass(message)
        };
        assert!(check(&[], &[], "anything"));
        assert!(check(&["conf.gured"], &[], "web configured"));
        assert!(!check(&["^configured"], &[], "web configured"));
        assert!(!check(&[], &["configured$"], "web configured"));
        assert!(!check(&["("], &[], "anything"), "only invalid inclusions let nothing through");
        assert!(check(&[], &["("], "anything"));
        assert_eq!(Filters::compile(&list(&["("]), &[]).problems, ["failed to compile inclusion regex: ("]);
    }

    #[test]
    fn commit_status_updates_reach_git_providers_and_webhooks_only() {
        let mut update = event();
        update.metadata =
            BTreeMap::from([("kustomize.toolkit.fluxcd.io/commit_status".to_owned(), "update".to_owned())]);
        assert_eq!(gate("slack", false, &update), Gate::Skip);
        assert_eq!(gate("generic", false, &update), Gate::Open);
        assert_eq!(gate("github", false, &update), Gate::Open);
        assert_eq!(gate("github", false, &event()), Gate::NoCommit);
        assert_eq!(gate("githubpullrequestcomment", false, &event()), Gate::NoChangeRequest);
        assert_eq!(gate("slack", true, &event()), Gate::Skip);
        assert_eq!(gate("slack", false, &event()), Gate::Open);
    }
}
