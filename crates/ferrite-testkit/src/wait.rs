//! Waiting for a condition, with a bound.

use std::time::Duration;

use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks `probe` until it answers, at most for `patience`; pauses grow from 5 ms to 100 ms.
///
/// Prefer a watch or a channel where there is one; this is for files, processes and counters.
///
/// # Errors
/// A sentence with `what` and the patience.
pub async fn wait_for<T>(
    what: &str,
    patience: Duration,
    probe: impl AsyncFn() -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        match tokio::time::timeout_at(deadline, probe()).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) | Err(_) => return Err(format!("gave up after {patience:?} waiting until {what}")),
        }
        tokio::time::sleep_until((Instant::now() + pause).min(deadline)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_answer_ends_the_wait_and_patience_ends_it_otherwise() {
        let asked = AtomicU32::new(0);
        let third = wait_for("asked thrice", Duration::from_secs(10), async || {
            (asked.fetch_add(1, Ordering::Relaxed) == 2).then_some("yes")
        });
        assert_eq!(third.await, Ok("yes"));
        let never = wait_for("pigs fly", Duration::from_millis(20), async || None::<()>).await;
        assert_eq!(never, Err("gave up after 20ms waiting until pigs fly".to_owned()));
        let hangs = wait_for("it answers", Duration::from_millis(20), async || {
            std::future::pending::<Option<()>>().await
        });
        assert_eq!(hangs.await, Err("gave up after 20ms waiting until it answers".to_owned()));
    }
}
