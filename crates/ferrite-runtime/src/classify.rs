//! Whose move it is after a failure, and how the failure is printed.

use std::{error::Error, fmt::Write as _, time::Duration};

/// What can make a failed reconcile succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Trying again may help: exponential backoff, a warning event.
    Retry,
    /// Somebody else has to finish first: look again after this time, no error event.
    Wait(Duration),
    /// Only an edit of the spec or a request by a person can help: no requeue, `Stalled=True`.
    Stalled,
}

/// Every error of a reconciler says whose move it is and which reason a condition shows.
///
/// Implement both with an exhaustive `match`, so that a new variant cannot inherit a class nobody chose.
pub trait Classify {
    /// Whose move it is.
    fn class(&self) -> Class;
    /// The wire string of the condition reason and of the event reason, from `ferrite_api::Reason`.
    fn reason(&self) -> &'static str;
}

/// A reconcile that the driver ended before its steps did.
///
/// The kind's own error type wraps it (`From<Interrupted>`), so that `report` sees one kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// A newer generation, revision or request arrived while this reconcile waited.
    #[error("a newer change replaced this reconcile while it waited")]
    Superseded,
    /// The process is going down.
    #[error("the controller is shutting down")]
    Shutdown,
    /// A bug: a step panicked. The text is the panic's message.
    #[error("a step of the reconcile panicked, which is a bug: {0}")]
    Panicked(String),
}

impl Classify for Interrupted {
    fn class(&self) -> Class {
        match self {
            Self::Superseded | Self::Shutdown | Self::Panicked(_) => Class::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Superseded | Self::Shutdown => "ProgressingWithRetry",
            Self::Panicked(_) => "Failed",
        }
    }
}

/// Joins an error and its causes with `: `, dropping a cause whose text its parent already ends with.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !part.is_empty() && !last.ends_with(&part) {
            // Writing to a String cannot fail.
            let _infallible = write!(text, ": {part}");
        }
        last = part;
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Outer(#[source] Middle);
    #[derive(Debug, thiserror::Error)]
    #[error("the lock failed: rusty")]
    struct Middle(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("rusty")]
    struct Inner;

    #[test]
    fn a_cause_the_parent_already_prints_is_dropped() {
        assert_eq!(chain(&Outer(Middle(Inner))), "cannot open the door: the lock failed: rusty");
    }
}
