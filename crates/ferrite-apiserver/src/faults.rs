//! Misbehaviour on request, for tests of clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Response;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::http::request::{Call, Target};
use crate::http::{Body, negotiate, respond};
use crate::status::ApiError;
use crate::store::Store;

/// What is wrong at the moment.
#[derive(Debug, Clone, Default, PartialEq)]
struct Wrong {
    latency: Duration,
    error_rate: f64,
    throttle: Option<u32>,
}

/// Switches that make a server slow, flaky or forgetful. All are off at the start and can be set at any time.
///
/// They apply to requests about resources, not to health checks and discovery. The same switches can be set from
/// another process by an administrator: `POST /ferrite/faults` with a JSON object of [`latencyMs`, `errorRate`,
/// `throttleSeconds`, `pause`, `dropWatches`, `expireHistory`, `clear`].
#[derive(Debug)]
pub struct Faults {
    wrong: Mutex<Wrong>,
    drops: watch::Sender<u64>,
    paused: watch::Sender<bool>,
    seed: AtomicU64,
    store: Arc<Store>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct Wanted {
    latency_ms: Option<u64>,
    error_rate: Option<f64>,
    throttle_seconds: Option<u32>,
    pause: Option<bool>,
    drop_watches: bool,
    expire_history: bool,
    clear: bool,
}

impl Faults {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            wrong: Mutex::default(),
            drops: watch::channel(0).0,
            paused: watch::channel(false).0,
            seed: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            store,
        }
    }

    /// Every request about a resource waits this long first.
    pub fn set_latency(&self, latency: Duration) {
        self.wrong.lock().latency = latency;
    }

    /// This share of the requests about resources, from 0 to 1, fails with 500.
    pub fn set_error_rate(&self, share: f64) {
        self.wrong.lock().error_rate = share.clamp(0.0, 1.0);
    }

    /// All requests about resources are refused with 429 and `Retry-After` of so many seconds, until `None` is set.
    pub fn set_throttle(&self, retry_after: Option<u32>) {
        self.wrong.lock().throttle = retry_after;
    }

    /// Ends every watch that is open now.
    pub fn drop_watches(&self) {
        self.drops.send_modify(|n| *n += 1);
    }

    /// Forgets the past: watches and pages that start at an older version get 410 Gone.
    pub fn expire_history(&self) {
        self.store.forget();
        self.drop_watches();
    }

    /// Lets requests about resources wait until [`Faults::resume`].
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Lets waiting requests go on.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Everything works again.
    pub fn clear(&self) {
        *self.wrong.lock() = Wrong::default();
        self.resume();
    }

    /// Changes each time open watches must end.
    pub(crate) fn drops(&self) -> watch::Receiver<u64> {
        self.drops.subscribe()
    }

    pub(crate) async fn apply(&self, _call: &Call, target: &Target) -> Result<(), ApiError> {
        if !target.resource_path {
            return Ok(());
        }
        if *self.paused.borrow() {
            let mut paused = self.paused.subscribe();
            // The sender lives as long as the server.
            drop(paused.wait_for(|paused| !paused).await);
        }
        let wrong = self.wrong.lock().clone();
        if wrong.latency > Duration::ZERO {
            tokio::time::sleep(wrong.latency).await;
        }
        if let Some(seconds) = wrong.throttle {
            return Err(ApiError::too_many_requests(seconds));
        }
        if wrong.error_rate > 0.0 && self.draw() < wrong.error_rate {
            return Err(ApiError::internal("a fault was asked for"));
        }
        Ok(())
    }

    /// A number from 0 to 1; the same sequence in each run.
    fn draw(&self) -> f64 {
        let mut x = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn answer(&self, call: &Call) -> Result<Response<Body>, ApiError> {
        if !call.user.is_master() {
            return Err(ApiError::new(403, "Forbidden", "faults are for administrators", None));
        }
        if call.method == http::Method::POST {
            let wanted: Wanted = serde_json::from_slice(&call.body)
                .map_err(|e| ApiError::bad_request(format!("faults: {e}")))?;
            self.set(&wanted);
        }
        let wrong = self.wrong.lock().clone();
        let state = json!({"latencyMs": wrong.latency.as_millis() as u64, "errorRate": wrong.error_rate,
            "throttleSeconds": wrong.throttle, "pause": *self.paused.borrow()});
        Ok(respond::document(200, negotiate::Format::Json, &state))
    }

    fn set(&self, wanted: &Wanted) {
        if wanted.clear {
            self.clear();
        }
        if let Some(ms) = wanted.latency_ms {
            self.set_latency(Duration::from_millis(ms));
        }
        if let Some(rate) = wanted.error_rate {
            self.set_error_rate(rate);
        }
        if let Some(seconds) = wanted.throttle_seconds {
            self.set_throttle(Some(seconds).filter(|s| *s > 0));
        }
        match wanted.pause {
            Some(true) => self.pause(),
            Some(false) => self.resume(),
            None => {}
        }
        if wanted.expire_history {
            self.expire_history();
        }
        if wanted.drop_watches {
            self.drop_watches();
        }
    }
}
