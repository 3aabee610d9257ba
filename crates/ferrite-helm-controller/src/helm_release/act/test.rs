//! Runs the tests of a release.

use std::collections::BTreeMap;

use ferrite_api::{
    ConditionType, Reason,
    helm::{ReleaseAction, TestFilter, TestHookStatus},
};
use ferrite_helm::{ApplyMethod, Event as HookEvent, Release};
use ferrite_runtime::{Event, Truth};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Done, Worker};
use crate::{
    decide,
    error::Error,
    history,
    object::Write,
    release::{Options, Wait},
};

impl Worker<'_> {
    pub(super) async fn test(&self, mut last: Release, done: &mut Done) -> Result<(), Error> {
        let spec = self.object.spec.test.clone().unwrap_or_default();
        let timeout = self.timeout(spec.timeout);
        self.running("test", timeout, false, done);
        let options = Options {
            timeout,
            wait: Wait::Poller,
            jobs: true,
            hooks: true,
            cleanup: false,
            write: Write { method: last.apply_method.unwrap_or(ApplyMethod::Client), ..Write::SERVER },
        };
        let storage = self.records();
        let wanted = |name: &str| is_wanted(&spec.filters, name);
        let run = self.releaser(&storage).hooks(&mut last, HookEvent::Test, options, wanted).await;
        let outcome = match (run, storage.update(&last).await) {
            (Ok(()), Err(error)) | (Err(error), _) => Err(error),
            (Ok(()), Ok(())) => Ok(()),
        };
        let results = results(&last, &spec.filters);
        let count = results.len();
        self.refresh(&last, None, done);
        if let Some(latest) = done.status().history.first_mut() {
            latest.test_hooks = Some(results);
        }
        self.conclude(count, outcome, done);
        self.summarize(done);
        Ok(())
    }

    fn conclude(&self, count: usize, outcome: Result<(), String>, done: &mut Done) {
        let Some(latest) = done.status().history.first().cloned() else { return };
        let (full, chart) = (history::full_name(&latest), history::chart_name(&latest));
        match outcome {
            Ok(()) => {
                let what = match count {
                    0 => "no test hooks".to_owned(),
                    1 => "1 test hook completed successfully".to_owned(),
                    many => format!("{many} test hooks completed successfully"),
                };
                let text = format!("Helm test succeeded for release {full} with chart {chart}: {what}");
                done.mark(ConditionType::TestSuccess, Truth::True, Reason::TestSucceeded, &text);
                self.tell(Event::info(Reason::TestSucceeded, text), &latest);
            }
            Err(error) => {
                let text =
                    format!("Helm test failed for release {full} with chart {chart}: {}", error.trim());
                done.mark(ConditionType::TestSuccess, Truth::False, Reason::TestFailed, &text);
                self.tell(Event::error(Reason::TestFailed, self.journal.append_to(&text)), &latest);
                let default = self.settings.default_to_retry;
                let policy = decide::policy(&self.object.spec, done.status(), default, false);
                let ignored = decide::tests_do_not_matter(&self.object.spec, &policy);
                let status = done.status();
                status.failures += 1;
                match status.last_attempted_release_action.filter(|_| !ignored) {
                    Some(ReleaseAction::Install) => status.install_failures += 1,
                    Some(ReleaseAction::Upgrade) => status.upgrade_failures += 1,
                    None => {}
                }
            }
        }
    }
}

/// Whether filters choose a test: one that is excluded never, and of those that are included, if any are, only these.
fn is_wanted(filters: &[TestFilter], name: &str) -> bool {
    let excluded = filters.iter().any(|filter| filter.exclude && filter.name == name);
    let mut included = filters.iter().filter(|filter| !filter.exclude).peekable();
    !excluded && (included.peek().is_none() || included.any(|filter| filter.name == name))
}

fn results(release: &Release, filters: &[TestFilter]) -> BTreeMap<String, Option<TestHookStatus>> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok().map(Time);
    let hooks = release.hooks.iter().filter(|hook| hook.is_test() && is_wanted(filters, &hook.name));
    hooks
        .map(|hook| {
            let run = &hook.last_run;
            let status = TestHookStatus {
                last_started: time(&run.started_at),
                last_completed: time(&run.completed_at),
                phase: Some(run.phase.clone()).filter(|phase| !phase.is_empty()),
            };
            (hook.name.clone(), Some(status))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_tests() {
        let filter = |name: &str, exclude| TestFilter { name: name.to_owned(), exclude };
        let check = |filters: &[TestFilter], expect: [bool; 2]| {
            assert_eq!(["a", "b"].map(|name| is_wanted(filters, name)), expect);
        };
        check(&[], [true, true]);
        check(&[filter("a", false)], [true, false]);
        check(&[filter("a", true)], [false, true]);
        check(&[filter("a", false), filter("a", true)], [false, false]);
    }
}
