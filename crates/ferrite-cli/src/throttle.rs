//! `--kube-api-qps` and `--kube-api-burst`: a token bucket before the API server.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tower::{Layer, Service};

/// Lets requests through at a rate; up to `burst` at once. Also the layer that adds itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throttle {
    per_second: f64,
    burst: f64,
}

impl Throttle {
    /// No limit when the rate is not positive.
    pub(crate) fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst: f64::from(burst.max(1)) }
    }
}

impl<S> Layer<S> for Throttle {
    type Service = Throttled<S>;

    fn layer(&self, inner: S) -> Throttled<S> {
        Throttled { inner, limit: *self, left: self.burst, filled: None, pause: None }
    }
}

/// A service behind the bucket.
#[derive(Debug)]
pub(crate) struct Throttled<S> {
    inner: S,
    limit: Throttle,
    /// Requests that may go at once.
    left: f64,
    /// When `left` was counted.
    filled: Option<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Throttled<S> {
    /// Counts what has come in since; how long until one may go.
    fn fill(&mut self, now: Instant) -> Option<Duration> {
        if self.limit.per_second <= 0.0 {
            return None;
        }
        let since = self.filled.map_or(Duration::ZERO, |filled| now.saturating_duration_since(filled));
        self.filled = Some(now);
        self.left = since.as_secs_f64().mul_add(self.limit.per_second, self.left).min(self.limit.burst);
        let missing = 1.0 - self.left;
        (missing > 0.0).then(|| Duration::from_secs_f64((missing / self.limit.per_second).min(3600.0)))
    }
}

impl<S: Service<R>, R> Service<R> for Throttled<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.fill(Instant::now()) {
                Some(missing) => self.pause = Some(Box::pin(tokio::time::sleep(missing))),
                None => return self.inner.poll_ready(context),
            }
        }
    }

    fn call(&mut self, request: R) -> S::Future {
        self.left -= 1.0;
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut bucket = Throttle::new(10.0, 2).layer(());
        let start = Instant::now();
        for _ in 0..2 {
            assert_eq!(bucket.fill(start), None);
            bucket.left -= 1.0;
        }
        assert_eq!(bucket.fill(start), Some(Duration::from_millis(100)));
        assert_eq!(bucket.fill(start + Duration::from_millis(101)), None);
        let mut open = Throttle::new(0.0, 1).layer(());
        open.left = -5.0;
        assert_eq!(open.fill(start), None, "no rate is no limit");
    }
}
