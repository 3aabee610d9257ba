//! The one place that reads the clock: `now`, `ago` and `date` of unknown things need it.

use super::time::Time;

/// The present in UTC, controllers' local zone.
pub(super) fn now() -> Time {
    #[expect(clippy::disallowed_methods, reason = "sprig's now is the time of the render")]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::utc(i64::try_from(since.as_secs()).unwrap_or(0), since.subsec_nanos())
}
