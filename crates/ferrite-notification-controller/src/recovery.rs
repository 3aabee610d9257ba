//! Objects that fail and recover, as alerts with `spec.recovery` are told of them.
//!
//! ```text
//! quiet ──failure: told──▶ failing ──success: told──▶ quiet
//!                           └ failure: told again after the cool-down only
//! ```
//!
//! The memory is the process's: after a restart an object counts as quiet.

use std::collections::HashMap;
use std::time::Duration;

use ferrite_runtime::ObjectKey;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::event::Event;

/// Objects remembered for all alerts; beyond it those heard of longest ago are forgotten.
const OBJECTS: usize = 100_000;

/// What an alert is told of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Whatever its severity asks for.
    AsAsked,
    /// It works again: told whatever the severity asks for.
    Recovered,
    /// The failure was told a short time ago.
    Repeated,
}

#[derive(Debug, Clone, Copy)]
struct State {
    failing: bool,
    told: Instant,
}

/// What alerts were told of objects.
#[derive(Debug, Default)]
pub(crate) struct Recoveries(Mutex<HashMap<(ObjectKey, String), State>>);

/// Whether the event says that its object works: news of progress and of tidying up say nothing of it.
fn is_success(event: &Event) -> bool {
    let silent = ["Progressing", "ProgressingWithRetry", "DependencyNotReady", "GarbageCollectionSucceeded"];
    event.severity == "info" && !silent.contains(&event.reason.as_str())
}

impl Recoveries {
    /// Judges an event that the alert's sources and filters have passed, and remembers it.
    pub(crate) fn judge(
        &self,
        alert: &ObjectKey,
        cooldown: Duration,
        event: &Event,
        now: Instant,
    ) -> Verdict {
        let mut states = self.0.lock();
        let key = (alert.clone(), event.object_path());
        let known = states.get(&key).copied();
        if event.is_error() {
            if known.is_some_and(|state| now.saturating_duration_since(state.told) < cooldown) {
                // A failure that is not told needs no recovery to be told either, unless one is owed already.
                return Verdict::Repeated;
            }
            bound(&mut states);
            states.insert(key, State { failing: true, told: now });
            return Verdict::AsAsked;
        }
        match states.get_mut(&key) {
            Some(state) if state.failing && is_success(event) => {
                state.failing = false;
                Verdict::Recovered
            }
            _ => Verdict::AsAsked,
        }
    }
}

fn bound(states: &mut HashMap<(ObjectKey, String), State>) {
    if states.len() < OBJECTS {
        return;
    }
    let mut times: Vec<Instant> = states.values().map(|state| state.told).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    states.retain(|_, state| state.told > median);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::tests::event;

    #[test]
    fn failures_are_told_once_and_their_end_once() {
        let recoveries = Recoveries::default();
        let start = Instant::now();
        let alert = ObjectKey::new("flux-system", "ops");
        let at = |seconds: u64, event: &Event| {
            recoveries.judge(&alert, Duration::from_mins(1), event, start + Duration::from_secs(seconds))
        };
        let (fine, broken) = (event("info"), event("error"));
        let progress = Event { reason: "Progressing".into(), ..event("info") };
        let other = Event { involved_object: Default::default(), ..event("info") };
        for (seconds, event, expect) in [
            (0, &fine, Verdict::AsAsked),
            (1, &broken, Verdict::AsAsked),
            (2, &broken, Verdict::Repeated),
            (3, &progress, Verdict::AsAsked),
            (3, &other, Verdict::AsAsked),
            (4, &fine, Verdict::Recovered),
            (5, &fine, Verdict::AsAsked),
            (6, &broken, Verdict::Repeated),
            (7, &fine, Verdict::AsAsked),
            (61, &broken, Verdict::AsAsked),
            (62, &fine, Verdict::Recovered),
        ] {
            assert_eq!(at(seconds, event), expect, "after {seconds} s");
        }
    }

    #[test]
    fn without_a_cool_down_every_failure_is_told() {
        let recoveries = Recoveries::default();
        let now = Instant::now();
        let alert = ObjectKey::new("flux-system", "ops");
        for _ in 0..2 {
            let verdict = recoveries.judge(&alert, Duration::ZERO, &event("error"), now);
            assert_eq!(verdict, Verdict::AsAsked);
        }
    }

    #[test]
    fn a_flood_of_objects_stays_bounded() {
        let mut states: HashMap<_, _> = (0..OBJECTS)
            .map(|number| {
                let told = Instant::now() + Duration::from_micros(number as u64);
                ((ObjectKey::new("a", "b"), number.to_string()), State { failing: true, told })
            })
            .collect();
        bound(&mut states);
        assert!(states.len() <= OBJECTS / 2);
    }
}
