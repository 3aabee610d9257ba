//! Which events are repetitions.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Keys remembered at most; beyond it the oldest are forgotten, so that a flood cannot fill the memory.
const KEYS: usize = 200_000;

/// Lets each key pass once per window; windows are counted from the key's first appearance.
#[derive(Debug)]
pub struct Limiter {
    interval: Duration,
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    seen: HashMap<String, Seen>,
    swept: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Instant,
    last: Instant,
    window: u64,
}

/// What the limiter says of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// It is the first of its window.
    pub allowed: bool,
    /// The time until the next window opens.
    pub reset: Duration,
}

impl Limiter {
    /// One event per key and `interval`.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval: interval.max(Duration::from_millis(1)), keys: Mutex::default() }
    }

    /// Takes the key's token of the current window, if it is still there.
    pub fn take(&self, key: &str, now: Instant) -> Verdict {
        let mut keys = self.keys.lock();
        keys.sweep(now, self.interval);
        let first = keys.seen.get(key).map_or(now, |seen| seen.first);
        let elapsed = now.saturating_duration_since(first);
        let window = window(elapsed, self.interval);
        let reset = self.interval.mul_f64((window + 1) as f64).saturating_sub(elapsed);
        let allowed = keys.seen.get(key).is_none_or(|seen| seen.window != window);
        keys.seen.insert(key.to_owned(), Seen { first, last: now, window });
        Verdict { allowed, reset }
    }
}

fn window(elapsed: Duration, interval: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u64::MAX)
}

impl Keys {
    /// Forgets keys unused for two intervals; at most once per interval, unless there are too many.
    fn sweep(&mut self, now: Instant, interval: Duration) {
        let due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= interval);
        if due {
            self.swept = Some(now);
            self.seen.retain(|_, seen| now.saturating_duration_since(seen.last) < interval * 2);
        }
        if self.seen.len() >= KEYS {
            let mut ages: Vec<Instant> = self.seen.values().map(|seen| seen.last).collect();
            let middle = ages.len() / 2;
            let (_, median, _) = ages.select_nth_unstable(middle);
            let median = *median;
            self.seen.retain(|_, seen| seen.last > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_passes_once_per_window_of_its_own() {
        let limiter = Limiter::new(Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(limiter.take("a", at(0)).allowed);
        assert_eq!(limiter.take("a", at(4)), Verdict { allowed: false, reset: Duration::from_secs(6) });
        assert!(limiter.take("b", at(4)).allowed, "another key has its own windows");
        assert!(limiter.take("a", at(10)).allowed);
        assert!(!limiter.take("a", at(19)).allowed, "the window began at 10, not at the last event");
        assert!(limiter.take("a", at(20)).allowed);
    }

    #[test]
    fn unused_keys_are_forgotten() {
        let limiter = Limiter::new(Duration::from_secs(10));
        let start = Instant::now();
        limiter.take("a", start);
        limiter.take("b", start + Duration::from_secs(25));
        assert_eq!(limiter.keys.lock().seen.len(), 1);
    }

    #[test]
    fn a_flood_of_keys_stays_bounded() {
        let limiter = Limiter::new(Duration::from_secs(600));
        let start = Instant::now();
        for number in 0..(KEYS + 10) {
            limiter.take(&number.to_string(), start + Duration::from_micros(number as u64));
        }
        assert!(limiter.keys.lock().seen.len() <= KEYS);
    }
}
