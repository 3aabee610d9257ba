//! What the two servers did, under the names that dashboards of Flux read.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ferrite_runtime::Metrics;
use http::{Method, StatusCode};

/// Seconds, as Prometheus' client library for Go has them by default.
const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bytes, tenfold from 100.
const BYTES: &[f64] = &[1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The names of one server's figures, and the path that stands for all of its paths.
#[derive(Debug)]
pub(crate) struct Names {
    seconds: &'static str,
    bytes: &'static str,
    inflight: &'static str,
    handler: &'static str,
}

/// The event endpoint.
pub(crate) const EVENTS: Names = Names {
    seconds: "gotk_event_http_request_duration_seconds",
    bytes: "gotk_event_http_response_size_bytes",
    inflight: "gotk_event_http_requests_inflight",
    handler: "/",
};
/// The webhook endpoint.
pub(crate) const RECEIVERS: Names = Names {
    seconds: "gotk_receiver_http_request_duration_seconds",
    bytes: "gotk_receiver_http_response_size_bytes",
    inflight: "gotk_receiver_http_requests_inflight",
    handler: "/hook/",
};

/// Counts the requests of one server.
#[derive(Debug)]
pub(crate) struct Figures {
    metrics: Metrics,
    names: &'static Names,
    /// Label with the path of the request; paths of webhooks are secrets, and there are many.
    paths: bool,
    inflight: AtomicI64,
}

impl Figures {
    pub(crate) fn new(metrics: &Metrics, names: &'static Names, paths: bool) -> Self {
        Self { metrics: metrics.clone(), names, paths, inflight: AtomicI64::new(0) }
    }

    /// A request that is worked on until the guard is dropped, also when its client goes away.
    pub(crate) fn started(&self) -> InFlight<'_> {
        self.flying(self.inflight.fetch_add(1, Ordering::Relaxed) + 1);
        InFlight(self)
    }

    pub(crate) fn ended(&self, method: &Method, path: &str, status: StatusCode, time: Duration, bytes: u64) {
        // Anybody can invent a method.
        let method = match *method {
            Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => method.as_str(),
            Method::PATCH | Method::OPTIONS | Method::CONNECT | Method::TRACE => method.as_str(),
            _ => "OTHER",
        };
        let handler = self.handler(path);
        let labels = [("code", status.as_str()), ("handler", handler), ("method", method), ("service", "")];
        let help = "The latency of the HTTP requests.";
        self.metrics.observe(self.names.seconds, help, SECONDS, &labels, time.as_secs_f64());
        let help = "The size of the HTTP responses.";
        self.metrics.observe(self.names.bytes, help, BYTES, &labels, bytes as f64);
    }

    fn flying(&self, now: i64) {
        let help = "The number of inflight requests being handled at the same time.";
        // One number for the server: a gauge for each path would outlive its requests.
        let labels = [("handler", self.names.handler), ("service", "")];
        self.metrics.gauge(self.names.inflight, help, &labels, now as f64);
    }

    fn handler<'a>(&self, path: &'a str) -> &'a str {
        if self.paths { path } else { self.names.handler }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Figures);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.flying(self.0.inflight.fetch_sub(1, Ordering::Relaxed) - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_code_and_method() {
        let metrics = Metrics::new();
        let figures = Figures::new(&metrics, &EVENTS, false);
        let _waits = figures.started();
        drop(figures.started());
        let time = Duration::from_millis(20);
        figures.ended(&Method::POST, "/x", StatusCode::TOO_MANY_REQUESTS, time, 18);
        let text = metrics.render();
        let labels = r#"code="429",handler="/",method="POST",service="""#;
        for line in [
            format!("gotk_event_http_request_duration_seconds_count{{{labels}}} 1"),
            format!("gotk_event_http_request_duration_seconds_bucket{{{labels},le=\"0.01\"}} 0"),
            format!("gotk_event_http_request_duration_seconds_bucket{{{labels},le=\"0.025\"}} 1"),
            format!("gotk_event_http_response_size_bytes_sum{{{labels}}} 18"),
            r#"gotk_event_http_requests_inflight{handler="/",service=""} 1"#.to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn invented_methods_are_one_series() {
        let metrics = Metrics::new();
        let figures = Figures::new(&metrics, &RECEIVERS, true);
        let method = Method::from_bytes(b"BREW").unwrap();
        drop(figures.started());
        figures.ended(&method, "/hook/a", StatusCode::OK, Duration::ZERO, 0);
        assert!(metrics.render().contains(r#"handler="/hook/a",method="OTHER""#));
    }
}
