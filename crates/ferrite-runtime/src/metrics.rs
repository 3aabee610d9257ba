//! Figures under the names that Flux's dashboards read, in Prometheus' text format.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{key::ObjectKey, queue::Queue};

mod process;

/// How a reconcile ended, as controller-runtime names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, nothing scheduled.
    Success,
    /// Done, comes back after a time.
    RequeueAfter,
    /// Failed.
    Error,
}

/// The figures of one process; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Metrics({} families)", self.0.lock().families.len())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Default)]
struct Registry {
    families: BTreeMap<&'static str, Family>,
    queues: Vec<(String, Weak<Queue<ObjectKey>>)>,
}

struct Family {
    help: &'static str,
    kind: &'static str,
    bounds: &'static [f64],
    series: BTreeMap<String, Value>,
}

enum Value {
    Number(f64),
    Histogram { counts: Vec<u64>, sum: f64 },
}

/// Ten exponential buckets from 10 ms to 30 min, to the digit as Flux's controllers show them: a query that names a
/// bucket goes on working.
const RECONCILE_BOUNDS: &[f64] = &[
    0.01,
    0.038_363_583_488_692_544,
    0.147_176_453_809_383_8,
    0.564_621_617_328_616_9,
    2.166_090_855_590_701,
    8.309_900_738_254_731,
    31.879_757_075_478_317,
    122.302_172_216_434_93,
    469.194_959_467_365_44,
    1_799.999_999_999_998_6,
];
/// controller-runtime's and client-go's buckets, thinned.
const TIME_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

impl Metrics {
    /// No figures yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Registry::default())))
    }

    /// Adds to a counter. `labels` come from closed sets, or are an object's and deleted with it.
    pub fn count(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], by: f64) {
        let mut registry = self.0.lock();
        if let Value::Number(number) = registry.series(name, help, "counter", &[], labels) {
            *number += by;
        }
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        let mut registry = self.0.lock();
        if let Value::Number(number) = registry.series(name, help, "gauge", &[], labels) {
            *number = value;
        }
    }

    /// Adds an observation to a histogram.
    pub fn observe(
        &self,
        name: &'static str,
        help: &'static str,
        bounds: &'static [f64],
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let mut registry = self.0.lock();
        if let Value::Histogram { counts, sum } = registry.series(name, help, "histogram", bounds, labels) {
            let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
            if let Some(count) = counts.get_mut(bucket) {
                *count += 1;
            }
            *sum += value;
        }
    }

    /// Removes the series of one object in a family.
    pub fn remove(&self, name: &str, labels: &[(&str, &str)]) {
        if let Some(family) = self.0.lock().families.get_mut(name) {
            family.series.remove(&label_text(labels));
        }
    }

    pub(crate) fn watch_queue(&self, name: &str, workers: usize, queue: &Arc<Queue<ObjectKey>>) {
        self.0.lock().queues.push((name.to_owned(), Arc::downgrade(queue)));
        let help = "Maximum number of concurrent reconciles per controller";
        let labels = [("controller", name)];
        self.gauge("controller_runtime_max_concurrent_reconciles", help, &labels, count(workers));
        // Series that exist from the start let a dashboard show 0 instead of nothing.
        self.count(ERRORS.0, ERRORS.1, &labels, 0.0);
        for result in ["error", "requeue", "requeue_after", "success"] {
            self.count(TOTAL.0, TOTAL.1, &[labels[0], ("result", result)], 0.0);
        }
        self.count(PANICS.0, PANICS.1, &labels, 0.0);
    }

    pub(crate) fn waited(&self, controller: &str, time: Duration) {
        let help = "How long in seconds an item stays in workqueue before being requested";
        let labels = [("controller", controller), ("name", controller)];
        self.observe("workqueue_queue_duration_seconds", help, TIME_BOUNDS, &labels, time.as_secs_f64());
    }

    pub(crate) fn panicked(&self, controller: &str) {
        self.count(PANICS.0, PANICS.1, &[("controller", controller)], 1.0);
    }

    pub(crate) fn reconciled(
        &self,
        controller: &str,
        kind: &str,
        key: &ObjectKey,
        outcome: Outcome,
        time: Duration,
    ) {
        let seconds = time.as_secs_f64();
        let result = match outcome {
            Outcome::Success => "success",
            Outcome::RequeueAfter => "requeue_after",
            Outcome::Error => "error",
        };
        let own = [("controller", controller)];
        self.count(TOTAL.0, TOTAL.1, &[own[0], ("result", result)], 1.0);
        if outcome == Outcome::Error {
            self.count(ERRORS.0, ERRORS.1, &own, 1.0);
        }
        let help = "Length of time per reconciliation per controller";
        self.observe("controller_runtime_reconcile_time_seconds", help, TIME_BOUNDS, &own, seconds);
        let help = "How long in seconds processing an item from workqueue takes.";
        let named = [("controller", controller), ("name", controller)];
        self.observe("workqueue_work_duration_seconds", help, TIME_BOUNDS, &named, seconds);
        self.observe(DURATION.0, DURATION.1, RECONCILE_BOUNDS, &object_labels(kind, key), seconds);
    }

    pub(crate) fn forget(&self, kind: &str, key: &ObjectKey) {
        self.remove(DURATION.0, &object_labels(kind, key));
    }

    /// The text that `/metrics` answers.
    #[must_use]
    pub fn render(&self) -> String {
        self.sample_queues();
        process::sample(self);
        let registry = self.0.lock();
        let mut text = String::new();
        for (name, family) in &registry.families {
            family.render(name, &mut text);
        }
        text
    }

    fn sample_queues(&self) {
        let queues: Vec<_> = self
            .0
            .lock()
            .queues
            .iter()
            .filter_map(|(name, queue)| Some((name.clone(), queue.upgrade()?)))
            .collect();
        for (name, queue) in queues {
            let stats = queue.stats();
            let named = [("controller", name.as_str()), ("name", name.as_str())];
            self.gauge("workqueue_depth", "Current depth of workqueue", &named, count(stats.depth));
            let help = "Number of currently used workers per controller";
            self.gauge("controller_runtime_active_workers", help, &named[..1], count(stats.active));
            let help = "How many seconds has the longest running processor for workqueue been running.";
            let longest = stats.longest.as_secs_f64();
            self.gauge("workqueue_longest_running_processor_seconds", help, &named, longest);
            let help = "How many seconds of work has been done that is in progress and hasn't been observed by work_duration.";
            let unfinished = stats.unfinished.as_secs_f64();
            self.gauge("workqueue_unfinished_work_seconds", help, &named, unfinished);
            self.total(
                "workqueue_adds_total",
                "Total number of adds handled by workqueue",
                &named,
                stats.adds,
            );
            self.total(
                "workqueue_retries_total",
                "Total number of retries handled by workqueue",
                &named,
                stats.retries,
            );
        }
    }

    fn total(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: u64) {
        let mut registry = self.0.lock();
        if let Value::Number(number) = registry.series(name, help, "counter", &[], labels) {
            *number = count(usize::try_from(value).unwrap_or(usize::MAX));
        }
    }
}

const TOTAL: (&str, &str) =
    ("controller_runtime_reconcile_total", "Total number of reconciliations per controller");
const ERRORS: (&str, &str) =
    ("controller_runtime_reconcile_errors_total", "Total number of reconciliation errors per controller");
const PANICS: (&str, &str) =
    ("controller_runtime_reconcile_panics_total", "Total number of reconciliation panics per controller");
const DURATION: (&str, &str) = (
    "gotk_reconcile_duration_seconds",
    "The duration in seconds of a GitOps Toolkit resource reconciliation.",
);

fn object_labels<'a>(kind: &'a str, key: &'a ObjectKey) -> [(&'static str, &'a str); 3] {
    [("kind", kind), ("name", &key.name), ("namespace", &key.namespace)]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus' numbers are floats; 2^53 is far above any count here"
)]
const fn count(number: usize) -> f64 {
    number as f64
}

impl Registry {
    fn series(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        bounds: &'static [f64],
        labels: &[(&str, &str)],
    ) -> &mut Value {
        let family =
            self.families.entry(name).or_insert(Family { help, kind, bounds, series: BTreeMap::new() });
        family.series.entry(label_text(labels)).or_insert_with(|| match kind {
            "histogram" => Value::Histogram { counts: vec![0; bounds.len() + 1], sum: 0.0 },
            _ => Value::Number(0.0),
        })
    }
}

impl Family {
    fn render(&self, name: &str, text: &mut String) {
        let mut line = |line: fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "{line}");
        };
        line(format_args!("# HELP {name} {}\n# TYPE {name} {}", self.help, self.kind));
        for (labels, value) in &self.series {
            match value {
                Value::Number(number) if labels.is_empty() => line(format_args!("{name} {number}")),
                Value::Number(number) => line(format_args!("{name}{{{labels}}} {number}")),
                Value::Histogram { counts, sum } => {
                    let comma = if labels.is_empty() { "" } else { "," };
                    let mut running = 0;
                    let bounds = self.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                    for (bound, count) in bounds.zip(counts) {
                        running += count;
                        line(format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {running}"));
                    }
                    line(format_args!("{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {running}"));
                }
            }
        }
    }
}

fn label_text(labels: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| {
        format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    };
    labels.iter().map(pair).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconcile_shows_under_flux_names_and_goes_with_its_object() {
        let metrics = Metrics::new();
        let key = ObjectKey::new("default", "app");
        metrics.reconciled("gitrepository", "GitRepository", &key, Outcome::Error, Duration::from_millis(20));
        let text = metrics.render();
        for line in [
            "gotk_reconcile_duration_seconds_bucket{kind=\"GitRepository\",name=\"app\",namespace=\"default\",le=\"0.01\"} 0",
            "gotk_reconcile_duration_seconds_bucket{kind=\"GitRepository\",name=\"app\",namespace=\"default\",le=\"0.038363583488692544\"} 1",
            "gotk_reconcile_duration_seconds_count{kind=\"GitRepository\",name=\"app\",namespace=\"default\"} 1",
            "controller_runtime_reconcile_total{controller=\"gitrepository\",result=\"error\"} 1",
            "controller_runtime_reconcile_errors_total{controller=\"gitrepository\"} 1",
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} in\n{text}");
        }
        metrics.forget("GitRepository", &key);
        assert!(!metrics.render().contains("name=\"app\""));
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(label_text(&[("a", "x\"y\\z\n")]), "a=\"x\\\"y\\\\z\\n\"");
    }
}
