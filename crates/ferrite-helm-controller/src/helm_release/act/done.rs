//! What has been done, and the conditions it leads to.

use ferrite_api::{ConditionType, Reason, helm::HelmReleaseStatus};
use ferrite_runtime::{Conditions, Truth, conditions_of};

use super::{Outcome, Worker};

/// A change of conditions. They are kept in order and played when conditions are asked for, because each takes the time
/// at which it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A condition is set.
    Set(ConditionType, Truth, Reason, String),
    /// A condition is deleted.
    Delete(ConditionType),
    /// `Ready` becomes what these conditions come to, the first of the newest deciding; what was remediated is never
    /// ready.
    Summary(Vec<ConditionType>),
}

/// Plays changes of conditions.
pub(crate) fn play(marks: &[Mark], conditions: &mut Conditions) {
    for mark in marks {
        match mark {
            Mark::Set(kind, truth, reason, message) => conditions.set(kind, *truth, reason, message.clone()),
            Mark::Delete(kind) => conditions.delete(kind),
            Mark::Summary(order) => summarize(order, conditions),
        }
    }
}

fn summarize(order: &[ConditionType], conditions: &mut Conditions) {
    let found = order.iter().filter_map(|kind| conditions.get(kind).cloned());
    // `max_by_key` keeps the last of equals, so the order is turned round.
    let newest = found.rev().max_by_key(|condition| condition.observed_generation);
    let Some(newest) = newest else { return };
    let truth = match newest.status.as_str() {
        "True" if newest.type_ != ConditionType::Remediated.as_str() => Truth::True,
        "Unknown" => Truth::Unknown,
        _ => Truth::False,
    };
    if truth == Truth::True {
        conditions.delete(ConditionType::Stalled);
    }
    conditions.set(ConditionType::Ready, truth, newest.reason, newest.message);
}

/// What has been done; `Done::default()` is nothing.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Status as it has to be, without conditions.
    pub(crate) status: Option<HelmReleaseStatus>,
    /// Changes of conditions, in order.
    pub(crate) marks: Vec<Mark>,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

impl Done {
    pub(crate) fn mark(&mut self, kind: ConditionType, truth: Truth, reason: Reason, message: &str) {
        self.marks.push(Mark::Set(kind, truth, reason, message.to_owned()));
    }

    pub(crate) fn unmark(&mut self, kind: ConditionType) {
        self.marks.push(Mark::Delete(kind));
    }

    pub(crate) fn status(&mut self) -> &mut HelmReleaseStatus {
        self.status.get_or_insert_with(HelmReleaseStatus::default)
    }

    /// The conditions as they are now.
    pub(crate) fn conditions(&self, worker: &Worker<'_>) -> Conditions {
        let mut conditions = conditions_of(worker.object, worker.clock.now());
        play(&self.marks, &mut conditions);
        conditions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_condition_decides_and_what_was_remediated_is_not_ready() {
        use ConditionType::{Ready, Released, Remediated, TestSuccess};
        let all = [Remediated, TestSuccess, Released];
        let check = |marks: &[(ConditionType, Truth, Reason)], truth: Truth, reason: &str| {
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            let mut conditions = Conditions::new(Vec::new(), 3, now);
            let marks: Vec<Mark> = marks
                .iter()
                .map(|(kind, truth, reason)| Mark::Set(*kind, *truth, *reason, "m".into()))
                .collect();
            play(&marks, &mut conditions);
            play(&[Mark::Summary(all.to_vec())], &mut conditions);
            assert!(conditions.is(Ready, truth), "{reason}");
            assert_eq!(conditions.get(Ready).unwrap().reason, reason);
        };
        let released = (Released, Truth::True, Reason::InstallSucceeded);
        check(&[released], Truth::True, "InstallSucceeded");
        check(&[released, (TestSuccess, Truth::False, Reason::TestFailed)], Truth::False, "TestFailed");
        let failed = (Released, Truth::False, Reason::UpgradeFailed);
        check(
            &[failed, (Remediated, Truth::True, Reason::RollbackSucceeded)],
            Truth::False,
            "RollbackSucceeded",
        );
        check(
            &[released, (TestSuccess, Truth::Unknown, Reason::AwaitingTests)],
            Truth::Unknown,
            "AwaitingTests",
        );
    }
}
