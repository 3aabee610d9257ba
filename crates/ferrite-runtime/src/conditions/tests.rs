use jiff::Timestamp;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn show(list: &[Condition]) -> String {
    let line = |c: &Condition| {
        let age = c.last_transition_time.0.as_second() - 1_700_000_000;
        format!(
            "{}={}/{}/{} gen {} at {age}\n",
            c.type_,
            c.status,
            c.reason,
            c.message,
            c.observed_generation.unwrap()
        )
    };
    list.iter().map(line).collect()
}

#[track_caller]
fn check(
    before: &[Condition],
    generation: i64,
    change: impl FnOnce(&mut Conditions),
    expect: &str,
) -> Vec<Condition> {
    let mut conditions = Conditions::new(before.to_vec(), generation, at(100));
    change(&mut conditions);
    let list = conditions.into_vec();
    assert_eq!(show(&list), expect);
    list
}

fn ready() -> Vec<Condition> {
    let mut conditions = Conditions::new(Vec::new(), 1, at(0));
    conditions.set_true(READY, "Succeeded", "stored");
    conditions.into_vec()
}

#[test]
fn the_same_state_keeps_its_time_and_takes_the_new_generation() {
    check(
        &ready(),
        2,
        |c| c.set_true(READY, "Succeeded", "stored"),
        "Ready=True/Succeeded/stored gen 2 at 0\n",
    );
}

#[test]
fn a_new_message_alone_moves_the_time() {
    check(
        &ready(),
        1,
        |c| c.set_true(READY, "Succeeded", "other"),
        "Ready=True/Succeeded/other gen 1 at 100\n",
    );
}

#[test]
fn deleting_and_setting_again_keeps_the_time() {
    check(
        &ready(),
        1,
        |c| {
            c.delete(READY);
            c.set_true(READY, "Succeeded", "stored");
        },
        "Ready=True/Succeeded/stored gen 1 at 0\n",
    );
}

#[test]
fn reconciling_and_stalled_exclude_each_other() {
    check(
        &[],
        1,
        |c| {
            c.mark_reconciling(PROGRESSING, "on it");
            c.mark_stalled("URLInvalid", "bad url");
        },
        "Stalled=True/URLInvalid/bad url gen 1 at 100\n",
    );
    check(
        &[],
        1,
        |c| {
            c.mark_stalled("URLInvalid", "bad url");
            c.mark_reconciling(PROGRESSING, "on it");
        },
        "Reconciling=True/Progressing/on it gen 1 at 100\n",
    );
}

#[test]
fn progress_leaves_a_settled_ready_alone() {
    check(
        &ready(),
        1,
        |c| c.mark_progress("looking", false),
        "Reconciling=True/Progressing/looking gen 1 at 100\nReady=True/Succeeded/stored gen 1 at 0\n",
    );
}

#[test]
fn progress_with_drift_or_without_ready_shows_unknown() {
    let expect = "Reconciling=True/Progressing/building gen 1 at 100\nReady=Unknown/Progressing/building gen 1 at 100\n";
    check(&ready(), 1, |c| c.mark_progress("building", true), expect);
    check(&[], 1, |c| c.mark_progress("building", false), expect);
}

#[test]
fn order_is_stalled_reconciling_ready_then_newest_generation_then_name() {
    let mut old = Conditions::new(Vec::new(), 1, at(0));
    old.set_true("ZType", "R", "m");
    old.set_true("AType", "R", "m");
    check(
        &old.into_vec(),
        2,
        |c| {
            c.set_true("MType", "R", "m");
            c.set_true(READY, "R", "m");
            c.mark_reconciling("R", "m");
        },
        "Reconciling=True/R/m gen 2 at 100\nReady=True/R/m gen 2 at 100\nMType=True/R/m gen 2 at 100\n\
         AType=True/R/m gen 1 at 0\nZType=True/R/m gen 1 at 0\n",
    );
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let mut conditions = Conditions::new(Vec::new(), 1, at(0));
    conditions.set_true(READY, "R", "é".repeat(20_000));
    let message = &conditions.get(READY).unwrap().message;
    assert!(message.len() <= 32_768 && message.ends_with("é..."), "{} bytes", message.len());
}

#[test]
fn times_are_cut_to_seconds_not_rounded() {
    let now = Timestamp::from_millisecond(1_700_000_000_900).unwrap();
    let mut conditions = Conditions::new(Vec::new(), 1, now);
    conditions.set_true(READY, "R", "m");
    assert_eq!(conditions.get(READY).unwrap().last_transition_time.0, at(0));
}

const ORDER: &[&str] = &["FetchFailed", "ArtifactOutdated", "ArtifactInStorage", STALLED, RECONCILING];
const NEGATIVE: &[&str] = &["FetchFailed", "ArtifactOutdated", STALLED, RECONCILING];

#[test]
fn summary_takes_the_worst_group_first() {
    let mut conditions = Conditions::new(Vec::new(), 1, at(0));
    conditions.set_true("ArtifactInStorage", "Succeeded", "stored");
    conditions.summarize(READY, ORDER, NEGATIVE);
    assert_eq!(show(&[conditions.get(READY).unwrap().clone()]), "Ready=True/Succeeded/stored gen 1 at 0\n");
    conditions.set_true("ArtifactOutdated", "NewRevision", "new");
    conditions.set_true("FetchFailed", "GitOperationFailed", "no route");
    conditions.summarize(READY, ORDER, NEGATIVE);
    assert_eq!(
        show(&[conditions.get(READY).unwrap().clone()]),
        "Ready=False/GitOperationFailed/no route gen 1 at 0\n"
    );
}

#[test]
fn a_conflict_keeps_what_others_own() {
    let mut theirs = Conditions::new(ready(), 1, at(50));
    theirs.set_true("Foreign", "R", "m");
    theirs.set_false(READY, "R", "theirs");
    let merged = merge(&ready(), &ready(), theirs.into_vec());
    assert_eq!(show(&merged), "Ready=True/Succeeded/stored gen 1 at 0\nForeign=True/R/m gen 1 at 50\n");
}
