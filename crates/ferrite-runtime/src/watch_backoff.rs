//! How long a broken watch waits before it is opened again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// Doubling delays between two bounds, each cut by up to a quarter at random so that watches do not march in step.
#[derive(Debug)]
pub(crate) struct WatchBackoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl WatchBackoff {
    pub(crate) const fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first }
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.next;
        self.next = (delay * 2).min(self.last);
        Some(delay.mul_f64(rand::random_range(0.75..=1.0)))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.next = self.first;
    }
}
