//! The wall clock, in the forms that Kubernetes writes.

use jiff::Timestamp;

/// This instant.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// `2026-01-02T03:04:05Z`
pub(crate) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// This instant in whole seconds.
pub(crate) fn now_text() -> String {
    seconds(now())
}
