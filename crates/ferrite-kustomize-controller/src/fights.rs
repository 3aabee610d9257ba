//! Two owners that both write an object would undo each other for ever, as fast as they can.
//!
//! A person's edits are undone at once, also several in a row. An object that keeps changing is repaired now and then
//! only, until it has been left alone for a while.

use std::{collections::HashMap, time::Duration};

use ferrite_resource::ObjectId;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Repairs of one object that may follow each other at once.
const BURST: u32 = 30;
/// After this time one more repair is granted.
const GRANT_EVERY: Duration = Duration::from_secs(30);
/// Objects that are remembered before those that were left alone are forgotten.
const SWEEP_AT: usize = 1024;

/// How often each object was repaired lately.
#[derive(Debug, Default)]
pub(crate) struct Fights(Mutex<HashMap<ObjectId, Granted>>);

#[derive(Debug, Clone, Copy)]
struct Granted {
    left: u32,
    /// The time up to which grants were counted.
    counted: Instant,
}

impl Granted {
    fn count(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted);
        let grants = u32::try_from(passed.as_nanos() / GRANT_EVERY.as_nanos()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(grants).min(BURST);
        self.counted = if self.left == BURST { now } else { self.counted + GRANT_EVERY * grants };
    }
}

impl Fights {
    /// How long to wait before the object is repaired; `None` for at once.
    pub(crate) fn pause(&self, id: &ObjectId, now: Instant) -> Option<Duration> {
        let mut objects = self.0.lock();
        if objects.len() >= SWEEP_AT && !objects.contains_key(id) {
            objects.retain(|_, granted| {
                granted.count(now);
                granted.left < BURST
            });
        }
        let granted = objects.entry(id.clone()).or_insert(Granted { left: BURST, counted: now });
        granted.count(now);
        if granted.left == 0 {
            return Some((granted.counted + GRANT_EVERY).saturating_duration_since(now));
        }
        granted.left -= 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ObjectId {
        ObjectId::new("", "ConfigMap", "a", name)
    }

    #[test]
    fn edits_are_undone_at_once_and_a_fight_slows_down() {
        let (fights, start) = (Fights::default(), Instant::now());
        for edit in 0..BURST {
            assert_eq!(fights.pause(&id("x"), start), None, "edit {edit}");
        }
        let second = Duration::from_secs(1);
        assert_eq!(fights.pause(&id("x"), start + second), Some(GRANT_EVERY - second));
        assert_eq!(fights.pause(&id("y"), start + second), None, "another object is not concerned");
        assert_eq!(fights.pause(&id("x"), start + GRANT_EVERY), None);
        assert_eq!(fights.pause(&id("x"), start + GRANT_EVERY + second), Some(GRANT_EVERY - second));
        let later = start + GRANT_EVERY * (BURST + 1);
        for edit in 0..BURST {
            assert_eq!(fights.pause(&id("x"), later), None, "left alone for long, edit {edit}");
        }
    }

    #[test]
    fn objects_that_were_left_alone_are_forgotten() {
        let (fights, start) = (Fights::default(), Instant::now());
        for number in 0..SWEEP_AT {
            fights.pause(&id(&number.to_string()), start);
        }
        fights.pause(&id("new"), start + GRANT_EVERY);
        assert_eq!(fights.0.lock().len(), 1);
    }
}
