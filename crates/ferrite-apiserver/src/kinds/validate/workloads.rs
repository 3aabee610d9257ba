//! Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs and CronJobs.

use serde_json::{Value, json};

use super::{count_or_percent, immutable, label_selector, natural, pods, selects, unsupported};
use crate::json::{is_empty, text};
use crate::status::Cause;

const TEMPLATE: &str = "spec.template";

pub(super) fn object(plural: &str, live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    match plural {
        "deployments" => deployment(spec, out),
        "daemonsets" => daemon_set(spec, out),
        "statefulsets" => stateful_set(live, spec, out),
        "replicasets" => {
            selector("replica set", spec, out);
            natural("spec.replicas", &spec["replicas"], out);
            template(spec, &["Always"], out);
        }
        "jobs" => job(live, spec, out),
        "cronjobs" => cron_job(o, out),
        _ => {}
    }
    if let Some(live) = live
        && matches!(plural, "deployments" | "daemonsets" | "replicasets")
    {
        immutable("spec.selector", &live["spec"]["selector"], &spec["selector"], out);
    }
}

fn selector(kind: &str, spec: &Value, out: &mut Vec<Cause>) {
    let selector = &spec["selector"];
    if selector.is_null() {
        out.push(Cause::required("spec.selector", ""));
    } else {
        label_selector("spec.selector", selector, out);
        if is_empty(&selector["matchLabels"]) && is_empty(&selector["matchExpressions"]) {
            out.push(Cause::invalid(
                "spec.selector",
                &json!({}),
                &format!("empty selector is invalid for {kind}"),
            ));
        }
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if selector.is_null() || !is_empty(selector) && !selects(selector, labels) {
        out.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
}

fn template(spec: &Value, policies: &[&str], out: &mut Vec<Cause>) {
    pods::template(&spec["template"], TEMPLATE, out);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    let known = ["Always", "Never", "OnFailure"].contains(&policy.as_str().unwrap_or_default());
    if known && !policies.contains(&policy.as_str().unwrap_or_default()) {
        out.push(Cause::unsupported("spec.template.spec.restartPolicy", policy, policies));
    }
}

fn deployment(spec: &Value, out: &mut Vec<Cause>) {
    selector("deployment", spec, out);
    natural("spec.replicas", &spec["replicas"], out);
    natural("spec.minReadySeconds", &spec["minReadySeconds"], out);
    natural("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"], out);
    template(spec, &["Always"], out);
    let strategy = &spec["strategy"];
    match text(strategy, "type") {
        "Recreate" => {
            if !strategy["rollingUpdate"].is_null() {
                out.push(Cause::forbidden(
                    "spec.strategy.rollingUpdate",
                    "may not be specified when strategy `type` is 'Recreate'",
                ));
            }
        }
        "RollingUpdate" => rolling(&strategy["rollingUpdate"], "spec.strategy.rollingUpdate", out),
        other => {
            let shown = json!({"Type": other, "RollingUpdate": null});
            out.push(Cause::unsupported("spec.strategy", &shown, &["Recreate", "RollingUpdate"]));
        }
    }
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64() {
        natural("spec.progressDeadlineSeconds", &spec["progressDeadlineSeconds"], out);
        if deadline <= spec["minReadySeconds"].as_i64().unwrap_or_default() {
            out.push(Cause::invalid(
                "spec.progressDeadlineSeconds",
                &deadline.into(),
                "must be greater than minReadySeconds",
            ));
        }
    }
}

fn is_zero(value: &Value) -> bool {
    value.as_i64() == Some(0)
        || value.as_str().is_some_and(|t| t.strip_suffix('%').is_some_and(|n| n.parse() == Ok(0)))
}

fn rolling(update: &Value, at: &str, out: &mut Vec<Cause>) {
    let before = out.len();
    for key in ["maxUnavailable", "maxSurge"] {
        count_or_percent(&format!("{at}.{key}"), &update[key], out);
    }
    if out.len() == before && is_zero(&update["maxUnavailable"]) && is_zero(&update["maxSurge"]) {
        out.push(Cause::invalid(
            format!("{at}.maxUnavailable"),
            &update["maxUnavailable"],
            "may not be 0 when `maxSurge` is 0",
        ));
    }
    over_hundred(&format!("{at}.maxUnavailable"), &update["maxUnavailable"], out);
}

fn over_hundred(field: &str, value: &Value, out: &mut Vec<Cause>) {
    let percent = value.as_str().and_then(|t| t.strip_suffix('%')).and_then(|n| n.parse::<i64>().ok());
    if percent.is_some_and(|p| p > 100) {
        out.push(Cause::invalid(field, value, "must not be greater than 100%"));
    }
}

fn daemon_set(spec: &Value, out: &mut Vec<Cause>) {
    selector("daemonset", spec, out);
    natural("spec.minReadySeconds", &spec["minReadySeconds"], out);
    template(spec, &["Always"], out);
    let strategy = &spec["updateStrategy"];
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let update = &strategy["rollingUpdate"];
            let at = "spec.updateStrategy.rollingUpdate";
            count_or_percent(&format!("{at}.maxUnavailable"), &update["maxUnavailable"], out);
            count_or_percent(&format!("{at}.maxSurge"), &update["maxSurge"], out);
            match (is_zero(&update["maxUnavailable"]), is_zero(&update["maxSurge"])) {
                (true, true) => {
                    let why = "cannot be 0 when maxSurge is 0";
                    out.push(Cause::invalid(format!("{at}.maxUnavailable"), &update["maxUnavailable"], why));
                }
                (false, false) => {
                    let why = "may not be set when maxUnavailable is non-zero";
                    out.push(Cause::invalid(format!("{at}.maxSurge"), &update["maxSurge"], why));
                }
                _ => {}
            }
        }
        _ => out.push(Cause::unsupported(
            "spec.updateStrategy.type",
            &strategy["type"],
            &["OnDelete", "RollingUpdate"],
        )),
    }
}

/// Fields of a StatefulSet that may change.
const FREE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn stateful_set(live: Option<&Value>, spec: &Value, out: &mut Vec<Cause>) {
    if !matches!(text(spec, "podManagementPolicy"), "OrderedReady" | "Parallel") {
        let why = "must be 'OrderedReady' or 'Parallel'";
        out.push(Cause::invalid("spec.podManagementPolicy", &spec["podManagementPolicy"], why));
    }
    let strategy = &spec["updateStrategy"];
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => natural(
            "spec.updateStrategy.rollingUpdate.partition",
            &strategy["rollingUpdate"]["partition"],
            out,
        ),
        other => {
            let shown = json!({"Type": other, "RollingUpdate": null});
            out.push(Cause::invalid("spec.updateStrategy", &shown, "must be 'RollingUpdate' or 'OnDelete'"));
        }
    }
    natural("spec.replicas", &spec["replicas"], out);
    selector("statefulset", spec, out);
    template(spec, &["Always"], out);
    if let Some(live) = live {
        let fixed = |spec: &Value| {
            let mut spec = spec.clone();
            FREE.iter().for_each(|key| drop(crate::json::remove(&mut spec, key)));
            spec
        };
        if fixed(&live["spec"]) != fixed(spec) {
            let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
            out.push(Cause::forbidden("spec", why));
        }
    }
}

fn job_policy(template: &Value, at: &str, out: &mut Vec<Cause>) {
    pods::template(template, at, out);
    if text(&template["spec"], "restartPolicy") == "Always" || template["spec"]["restartPolicy"].is_null() {
        out.push(Cause::required(
            format!("{at}.spec.restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        ));
    }
}

fn job_counts(spec: &Value, at: &str, out: &mut Vec<Cause>) {
    for key in
        ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"]
    {
        natural(&format!("{at}.{key}"), &spec[key], out);
    }
}

/// A selector that the server made stays as it is; the check of the labels comes here, and once more after.
fn generated_selector(old: &Value, spec: &Value, out: &mut Vec<Cause>) {
    if spec["manualSelector"] == true || old["selector"] == spec["selector"] {
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    out.push(Cause::invalid("spec.selector", &spec["selector"], "`selector` not auto-generated"));
    if !selects(&spec["selector"], labels) {
        out.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
}

fn job(live: Option<&Value>, spec: &Value, out: &mut Vec<Cause>) {
    if let Some(live) = live {
        generated_selector(&live["spec"], spec, out);
    }
    job_counts(spec, "spec", out);
    if spec["selector"].is_null() {
        out.push(Cause::required("spec.selector", ""));
    } else {
        label_selector("spec.selector", &spec["selector"], out);
        let labels = &spec["template"]["metadata"]["labels"];
        if !selects(&spec["selector"], labels) {
            out.push(Cause::invalid(
                "spec.template.metadata.labels",
                labels,
                "`selector` does not match template `labels`",
            ));
        }
    }
    job_policy(&spec["template"], TEMPLATE, out);
    let Some(live) = live else { return };
    let old = &live["spec"];
    immutable("spec.selector", &old["selector"], &spec["selector"], out);
    immutable("spec.completionMode", &old["completionMode"], &spec["completionMode"], out);
    if old["completionMode"] != "Indexed" || spec["completions"] != spec["parallelism"] {
        immutable("spec.completions", &old["completions"], &spec["completions"], out);
    }
    immutable("spec.podFailurePolicy", &old["podFailurePolicy"], &spec["podFailurePolicy"], out);
    immutable("spec.backoffLimitPerIndex", &old["backoffLimitPerIndex"], &spec["backoffLimitPerIndex"], out);
    // While it is suspended and has not started, its pods may still be told where to run.
    let waiting = old["suspend"] == true && live["status"]["startTime"].is_null();
    let fixed = |spec: &Value| {
        let mut template = spec["template"].clone();
        if waiting {
            for key in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
                crate::json::remove(&mut template["spec"], key);
            }
            for key in ["labels", "annotations"] {
                crate::json::remove(&mut template["metadata"], key);
            }
        }
        template
    };
    if fixed(old) != fixed(spec) {
        // Of a Job that waits, the metadata may change: what is left is the spec.
        let (at, shown) = if waiting {
            ("spec.template.spec", &spec["template"]["spec"])
        } else {
            (TEMPLATE, &spec["template"])
        };
        out.push(Cause::invalid(at, shown, super::IMMUTABLE));
    }
}

fn cron_job(o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    let schedule = text(spec, "schedule");
    if schedule.is_empty() {
        out.push(Cause::required("spec.schedule", ""));
    } else if schedule.contains("TZ=") {
        let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        out.push(Cause::invalid("spec.schedule", &schedule.into(), why));
    } else if let Some(why) = bad_schedule(schedule) {
        out.push(Cause::invalid("spec.schedule", &schedule.into(), &why));
    }
    if let Some(zone) = spec["timeZone"].as_str() {
        if zone.is_empty() {
            out.push(Cause::invalid(
                "spec.timeZone",
                &zone.into(),
                "timeZone must be nil or non-empty string",
            ));
        } else if !is_time_zone(zone) {
            out.push(Cause::invalid("spec.timeZone", &zone.into(), &format!("unknown time zone {zone}")));
        }
    }
    unsupported("spec.concurrencyPolicy", &spec["concurrencyPolicy"], &["Allow", "Forbid", "Replace"], out);
    for key in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        natural(&format!("spec.{key}"), &spec[key], out);
    }
    let job = &spec["jobTemplate"]["spec"];
    job_counts(job, "spec.jobTemplate.spec", out);
    job_policy(&job["template"], "spec.jobTemplate.spec.template", out);
    if !is_empty(&job["selector"]) {
        out.push(Cause::invalid(
            "spec.jobTemplate.spec.selector",
            &job["selector"],
            "`selector` will be auto-generated",
        ));
    }
}

/// Whether a name is one of the time zone database: by its area, which is enough to tell typing errors.
fn is_time_zone(name: &str) -> bool {
    const AREAS: [&str; 14] = [
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Brazil",
        "Canada",
        "Etc",
        "Europe",
        "Indian",
        "Pacific",
        "US",
    ];
    const SINGLE: [&str; 12] =
        ["UTC", "GMT", "EST", "MST", "HST", "CET", "EET", "MET", "WET", "Japan", "Israel", "Turkey"];
    match name.split_once('/') {
        Some((area, place)) => AREAS.contains(&area) && place.starts_with(|c: char| c.is_ascii_uppercase()),
        None => SINGLE.contains(&name),
    }
}

/// Why a schedule cannot be read (github.com/robfig/cron v3's standard parser).
fn bad_schedule(schedule: &str) -> Option<String> {
    if let Some(word) = schedule.strip_prefix('@') {
        let known =
            matches!(word, "yearly" | "annually" | "monthly" | "weekly" | "daily" | "midnight" | "hourly")
                || word.starts_with("every ");
        return (!known).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != 5 {
        return Some(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
    fields
        .iter()
        .zip(bounds)
        .find_map(|(field, (min, max))| field.split(',').find_map(|part| bad_range(part, min, max)))
}

fn bad_range(part: &str, min: u32, max: u32) -> Option<String> {
    const NAMES: [&str; 19] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "sun", "mon",
        "tue", "wed", "thu", "fri", "sat",
    ];
    let (range, step) = part.split_once('/').map_or((part, None), |(r, s)| (r, Some(s)));
    if step.is_some_and(|s| s.parse::<u32>().map_or(true, |n| n == 0)) {
        return Some(format!("step of range should be a positive number: {part}"));
    }
    if matches!(range, "*" | "?") {
        return None;
    }
    for end in range.split('-') {
        if NAMES.contains(&end.to_lowercase().as_str()) {
            continue;
        }
        match end.parse::<u32>() {
            Err(_) => {
                return Some(format!(
                    "failed to parse int from {end}: strconv.Atoi: parsing {end:?}: invalid syntax"
                ));
            }
            Ok(n) if n < min => {
                return Some(format!("beginning of range ({n}) below minimum ({min}): {part}"));
            }
            Ok(n) if n > max => return Some(format!("end of range ({n}) above maximum ({max}): {part}")),
            Ok(_) => {}
        }
    }
    None
}
