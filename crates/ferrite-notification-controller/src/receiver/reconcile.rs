//! Receivers: a path from the token, and whether the spec makes sense.

use std::convert::Infallible;

use ferrite_api::notification::{Receiver, ReceiverSpec, ReceiverStatus};
use ferrite_runtime::conditions::{PROGRESSING_WITH_RETRY, READY};
use ferrite_runtime::{
    Class, Classify, Event, Interrupted, Opening, Progress, Reconcile, Report, Requeue, Runtime,
    conditions_of,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use super::filter::Filters;
use super::oidc::Policy;
use super::webhook_path;

/// What `Reconciling` says, also while a failure is tried again.
const IN_PROGRESS: &str = "Reconciliation in progress";

/// The reconciler of Receivers.
#[derive(Debug)]
pub(crate) struct Receivers {
    pub(crate) runtime: Runtime,
}

/// What was read: the token, unless the type needs none or the spec makes no sense.
#[derive(Debug)]
pub(crate) struct Observed {
    path: String,
}

/// The path to publish.
#[derive(Debug)]
pub(crate) struct Plan {
    path: String,
}

/// What is published.
#[derive(Debug, Default)]
pub(crate) struct Done {
    path: Option<String>,
}

/// Why a receiver cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("Reconciliation failed terminally due to configuration error: {0}")]
    Expression(String),
    #[error("Reconciliation failed terminally due to configuration error: {0}")]
    Invalid(String),
    #[error("unable to read token from secret '{namespace}/{name}' error: secrets \"{name}\" not found")]
    NoSecret { namespace: String, name: String },
    #[error("invalid '{secret}' secret data: required fields '{field}'")]
    NoToken { secret: String, field: &'static str },
    #[error("unable to read token from secret '{name}'")]
    Read { name: String, source: kube::Error },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Expression(_) | Self::Invalid(_) => Class::Stalled,
            Self::NoSecret { .. } | Self::NoToken { .. } | Self::Read { .. } => Class::Retry,
            Self::Interrupted(interrupted) => interrupted.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Expression(_) => "InvalidCELExpression",
            Self::Invalid(_) => "ValidationFailed",
            Self::NoSecret { .. } | Self::NoToken { .. } | Self::Read { .. } => "TokenNotFound",
            Self::Interrupted(interrupted) => interrupted.reason(),
        }
    }
}

/// Everything that can be said of a spec without reading anything, in the order of Flux.
fn validate(spec: &ReceiverSpec) -> Result<(), Error> {
    Filters::compile(spec).map_err(|error| Error::Expression(ferrite_runtime::chain(&error)))?;
    let oidc = spec.kind.as_str() == "generic-oidc";
    let secret = spec.secret_ref.is_some();
    let problem = match (oidc, spec.oidc_providers.is_empty(), secret) {
        (true, true, _) => Some("oidcProviders must be set when type is generic-oidc"),
        (false, false, _) => Some("oidcProviders can only be set when type is generic-oidc"),
        (true, false, true) => Some("secretRef cannot be set when type is generic-oidc"),
        (false, true, false) => Some("secretRef is required when type is not generic-oidc"),
        (true, false, false) | (false, true, true) => None,
    };
    if let Some(problem) = problem {
        return Err(Error::Invalid(problem.to_owned()));
    }
    Policy::compile(spec).map(drop).map_err(|error| {
        let text = ferrite_runtime::chain(&error);
        match error {
            super::oidc::InvalidPolicy::Field { .. } => Error::Invalid(text),
            super::oidc::InvalidPolicy::Expression { .. } => Error::Expression(text),
        }
    })
}

impl Reconcile for Receivers {
    type Object = Receiver;
    type Observed = Observed;
    type Plan = Plan;
    type Done = Done;
    type Error = Error;

    async fn observe(&self, receiver: &Receiver, _step: &Progress) -> Result<Observed, Error> {
        validate(&receiver.spec)?;
        let namespace = receiver.namespace().unwrap_or_default();
        let name = receiver.name_any();
        let Some(reference) = &receiver.spec.secret_ref else {
            return Ok(Observed { path: webhook_path("", &name, &namespace) });
        };
        let secret = format!("{namespace}/{}", reference.name);
        let api: kube::Api<Secret> = self.runtime.api_in(&namespace);
        let found = api
            .get_opt(&reference.name)
            .await
            .map_err(|source| Error::Read { name: secret.clone(), source })?
            .ok_or_else(|| Error::NoSecret { namespace: namespace.clone(), name: reference.name.clone() })?;
        let token = found
            .data
            .as_ref()
            .and_then(|data| data.get("token"))
            .ok_or(Error::NoToken { secret, field: "token" })?;
        Ok(Observed { path: webhook_path(&String::from_utf8_lossy(&token.0), &name, &namespace) })
    }

    fn plan(_receiver: &Receiver, observed: &Observed) -> Plan {
        Plan { path: observed.path.clone() }
    }

    async fn act(&self, plan: Plan, done: &mut Done, _step: &Progress) -> Result<(), Error> {
        done.path = Some(plan.path);
        Ok(())
    }

    fn report(
        receiver: &Receiver,
        done: &Done,
        failure: Option<&Error>,
        now: Timestamp,
    ) -> Report<ReceiverStatus> {
        let mut status = receiver.status.clone().unwrap_or_default();
        let mut conditions = conditions_of(receiver, now);
        let generation = receiver.metadata.generation;
        let interval = receiver.spec.interval();
        let mut events = Vec::new();
        let requeue = Requeue::for_result(failure.map(|failure| failure as &dyn Classify), interval.to_std());
        match failure {
            None => {
                let path = done.path.clone().unwrap_or_default();
                conditions.delete(ferrite_runtime::conditions::RECONCILING);
                conditions.delete(ferrite_runtime::conditions::STALLED);
                conditions.set_true(READY, "Succeeded", format!("Receiver initialized for path: {path}"));
                status.webhook_path = Some(path);
                status.observed_generation = generation;
                events.push(Event::info(
                    "Succeeded",
                    format!("Reconciliation finished, next run in {interval}"),
                ));
            }
            Some(failure) => {
                let text = ferrite_runtime::chain(failure);
                let mut event = "Failed";
                match failure.class() {
                    Class::Stalled => {
                        event = failure.reason();
                        conditions.mark_stalled(failure.reason(), text.clone());
                        status.observed_generation = generation;
                    }
                    Class::Retry | Class::Wait(_) => {
                        status.webhook_path = None;
                        conditions.mark_reconciling(PROGRESSING_WITH_RETRY, IN_PROGRESS);
                    }
                }
                conditions.set_false(READY, failure.reason(), text.clone());
                events.push(Event::error(event, text));
            }
        }
        status.conditions = conditions.into_vec();
        Report { status, events, requeue }
    }

    fn opening(opening: &Opening<'_>) -> Option<String> {
        opening.sentence().map(|_| IN_PROGRESS.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn receiver(spec: &serde_json::Value) -> Receiver {
        serde_json::from_value(json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
            "metadata": {"name": "r", "namespace": "apps", "generation": 3},
            "spec": spec,
        }))
        .unwrap()
    }

    fn plain() -> Receiver {
        receiver(
            &json!({"type": "generic", "secretRef": {"name": "s"}, "resources": [{"kind": "Bucket", "name": "b"}]}),
        )
    }

    fn ready(report: &Report<ReceiverStatus>) -> (String, String, String) {
        let condition = report.status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        (condition.status.clone(), condition.reason.clone(), condition.message.clone())
    }

    #[test]
    fn a_path_makes_it_ready() {
        let done = Done { path: Some("/hook/1".into()) };
        let report = Receivers::report(&plain(), &done, None, Timestamp::UNIX_EPOCH);
        assert_eq!(
            ready(&report),
            ("True".into(), "Succeeded".into(), "Receiver initialized for path: /hook/1".into())
        );
        assert_eq!(report.status.webhook_path.as_deref(), Some("/hook/1"));
        assert_eq!(report.status.observed_generation, Some(3));
        assert_eq!(report.events[0].message, "Reconciliation finished, next run in 10m0s");
    }

    #[test]
    fn a_missing_token_is_retried_and_closes_the_path() {
        let mut receiver = plain();
        receiver.status =
            Some(ReceiverStatus { webhook_path: Some("/hook/old".into()), ..ReceiverStatus::default() });
        let failure = Error::NoSecret { namespace: "apps".into(), name: "s".into() };
        let report = Receivers::report(&receiver, &Done::default(), Some(&failure), Timestamp::UNIX_EPOCH);
        assert_eq!((ready(&report).0, ready(&report).1), ("False".into(), "TokenNotFound".into()));
        assert_eq!((report.status.webhook_path, report.requeue), (None, Requeue::Backoff));
    }

    #[test]
    fn contradictions_stall() {
        let oidc =
            json!([{"issuerURL": "https://x", "validations": [{"expression": "true", "message": "m"}]}]);
        let resources = json!([{"kind": "Bucket", "name": "b"}]);
        let problem =
            |spec: serde_json::Value| validate(&receiver(&spec).spec).map_err(|error| error.to_string());
        let expect =
            |text: &str| Err(format!("Reconciliation failed terminally due to configuration error: {text}"));
        assert_eq!(
            problem(json!({"type": "generic", "secretRef": {"name": "s"}, "resources": resources})),
            Ok(())
        );
        assert_eq!(
            problem(json!({"type": "generic", "resources": resources})),
            expect("secretRef is required when type is not generic-oidc")
        );
        assert_eq!(
            problem(json!({"type": "generic-oidc", "resources": resources})),
            expect("oidcProviders must be set when type is generic-oidc")
        );
        assert_eq!(
            problem(
                json!({"type": "generic-oidc", "oidcProviders": oidc, "secretRef": {"name": "s"}, "resources": resources})
            ),
            expect("secretRef cannot be set when type is generic-oidc")
        );
        assert_eq!(
            problem(json!({"type": "generic-oidc", "oidcProviders": oidc, "resources": resources})),
            Ok(())
        );
        let failure = validate(
            &receiver(&json!({"type": "generic", "resourceFilter": "nope(", "resources": resources})).spec,
        );
        assert_eq!(failure.unwrap_err().reason(), "InvalidCELExpression");
    }
}
