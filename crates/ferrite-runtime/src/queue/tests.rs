use std::time::Duration;

use tokio::time::Instant;

use super::{Backoff, Finish, Queue, State, Work};

/// The queue's state under a clock that moves only when told.
struct Sim {
    state: State<&'static str>,
    now: Instant,
}

impl Sim {
    fn new() -> Self {
        Self { state: Queue::new(Backoff::default()).state.into_inner(), now: Instant::now() }
    }

    fn add(&mut self, key: &'static str) {
        self.state.add(key, false, self.now);
    }

    fn supersede(&mut self, key: &'static str) {
        self.state.add(key, true, self.now);
    }

    fn add_after(&mut self, key: &'static str, minutes: u64) {
        self.state.schedule(key, self.now + Duration::from_mins(minutes));
    }

    fn take(&mut self) -> Option<Work<&'static str>> {
        self.state.release_due(self.now);
        self.state.take(self.now)
    }

    fn key(&mut self) -> Option<&'static str> {
        self.take().map(|work| work.key)
    }

    fn finish(&mut self, key: &'static str, finish: Finish) {
        self.state.finish(&key, finish, Backoff::default(), self.now);
    }

    /// Moves time until a key is ready; `None` when nothing is scheduled within a day.
    fn next(&mut self) -> Option<(Duration, &'static str)> {
        let start = self.now;
        while self.now < start + Duration::from_hours(24) {
            if let Some(key) = self.key() {
                return Some((self.now - start, key));
            }
            self.now += Duration::from_millis(250);
        }
        None
    }
}

#[test]
fn backoff_doubles_from_750_ms_to_15_min() {
    let delays = [1, 2, 3, 4, 11, 12, 40].map(|failures| Backoff::default().delay(failures).as_millis());
    assert_eq!(delays, [750, 1_500, 3_000, 6_000, 768_000, 900_000, 900_000]);
}

#[test]
fn a_key_added_twice_is_handed_out_once() {
    let mut sim = Sim::new();
    sim.add("a");
    sim.add("a");
    sim.add("b");
    assert_eq!([sim.key(), sim.key(), sim.key()], [Some("a"), Some("b"), None]);
}

#[test]
fn a_running_key_is_handed_out_again_only_after_it_finished() {
    let mut sim = Sim::new();
    sim.add("a");
    let work = sim.take().unwrap();
    sim.add("a");
    assert_eq!(sim.key(), None);
    assert!(!work.superseded.is_cancelled(), "a plain add does not end waits");
    sim.finish("a", Finish::After(Duration::from_hours(1)));
    assert_eq!(sim.key(), Some("a"), "what arrived meanwhile beats the interval");
}

#[test]
fn superseding_ends_the_wait_of_the_running_work() {
    let mut sim = Sim::new();
    sim.add("a");
    let work = sim.take().unwrap();
    sim.supersede("a");
    assert!(work.superseded.is_cancelled());
    sim.finish("a", Finish::Idle);
    assert!(!sim.take().unwrap().superseded.is_cancelled(), "the new work has a token of its own");
}

#[test]
fn failures_back_off_and_success_forgets_them() {
    let mut sim = Sim::new();
    sim.add("a");
    sim.take();
    for expected_ms in [750, 1_500, 3_000] {
        sim.finish("a", Finish::Backoff);
        assert_eq!(sim.next(), Some((Duration::from_millis(expected_ms), "a")));
    }
    sim.finish("a", Finish::After(Duration::from_mins(1)));
    assert_eq!(sim.next(), Some((Duration::from_mins(1), "a")));
    sim.finish("a", Finish::Backoff);
    assert_eq!(sim.next(), Some((Duration::from_millis(750), "a")), "the backoff starts again");
}

#[test]
fn the_earliest_deadline_wins_and_work_clears_it() {
    let mut sim = Sim::new();
    sim.add_after("a", 10);
    sim.add_after("a", 1);
    sim.add_after("a", 5);
    assert_eq!(sim.next(), Some((Duration::from_mins(1), "a")));
    sim.finish("a", Finish::Idle);
    assert_eq!(sim.next(), None);
}

#[test]
fn a_trigger_before_the_deadline_replaces_it() {
    let mut sim = Sim::new();
    sim.add_after("a", 10);
    sim.add("a");
    sim.take();
    sim.finish("a", Finish::After(Duration::from_mins(30)));
    assert_eq!(sim.next(), Some((Duration::from_mins(30), "a")));
}

#[test]
fn a_trigger_during_backoff_comes_at_once() {
    let mut sim = Sim::new();
    sim.add("a");
    sim.take();
    sim.finish("a", Finish::Backoff);
    sim.add("a");
    assert_eq!(sim.next(), Some((Duration::ZERO, "a")));
    sim.finish("a", Finish::Idle);
    assert_eq!(sim.next(), None, "the backoff's deadline went with it");
}

#[test]
fn nothing_is_left_of_keys_that_went() {
    let mut sim = Sim::new();
    for _ in 0..1000 {
        sim.add("a");
        sim.take();
        sim.finish("a", Finish::After(Duration::from_mins(10)));
    }
    assert!(sim.state.delayed.len() <= 65, "stale deadlines are dropped");
    sim.add("a");
    sim.take();
    sim.finish("a", Finish::Forget);
    assert!(sim.state.entries.is_empty() && sim.state.delayed_keys.is_empty());
}

#[tokio::test]
async fn waiting_workers_are_woken_once_each() {
    let queue = Queue::new(Backoff::default());
    let both = async { tokio::join!(queue.pop(), queue.pop()) };
    let add = async {
        queue.add("a");
        queue.add("b");
    };
    let ((first, second), ()) = tokio::join!(both, add);
    let mut keys = [first.key, second.key];
    keys.sort_unstable();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn work_in_progress_shows_before_it_ends() {
    let mut sim = Sim::new();
    sim.add("a");
    sim.add("b");
    assert_eq!(sim.key(), Some("a"));
    sim.now += Duration::from_secs(5);
    assert_eq!(sim.key(), Some("b"));
    sim.now += Duration::from_secs(1);
    let stats = sim.state.stats(sim.now);
    assert_eq!((stats.longest, stats.unfinished), (Duration::from_secs(6), Duration::from_secs(7)));
    sim.finish("a", Finish::Idle);
    assert_eq!(sim.state.stats(sim.now).longest, Duration::from_secs(1));
}
