//! The process's own figures, from `/proc/self`; absent where there is no `/proc`.

use super::Metrics;

/// `sysconf(_SC_CLK_TCK)`, 100 on every Linux that Kubernetes runs on.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;

pub(super) fn sample(metrics: &Metrics) {
    let Ok(stat) = fs_err::read_to_string("/proc/self/stat") else { return };
    // The command name in parentheses may hold blanks; fields are counted after it, from the third.
    let Some((_, rest)) = stat.rsplit_once(')') else { return };
    let fields: Vec<f64> = rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0.0);
    let cpu = (field(14) + field(15)) / TICKS_PER_SECOND;
    let mut registry = metrics.0.lock();
    let help = "Total user and system CPU time spent in seconds.";
    if let super::Value::Number(number) =
        registry.series("process_cpu_seconds_total", help, "counter", &[], &[])
    {
        *number = cpu;
    }
    drop(registry);
    metrics.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", &[], field(23));
    metrics.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        &[],
        field(24) * PAGE_BYTES,
    );
    if let Some(started) = started(field(22)) {
        let help = "Start time of the process since unix epoch in seconds.";
        metrics.gauge("process_start_time_seconds", help, &[], started);
    }
    limits(metrics);
    if let Ok(open) = fs_err::read_dir("/proc/self/fd") {
        metrics.gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            &[],
            super::count(open.count()),
        );
    }
}

/// When the process started, in seconds since 1970; `ticks` is counted from the start of the machine.
fn started(ticks: f64) -> Option<f64> {
    let stat = fs_err::read_to_string("/proc/stat").ok()?;
    let boot: f64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / TICKS_PER_SECOND)
}

/// What the process may have at most. Prometheus' client shows no limit as the largest number, and so do we.
fn limits(metrics: &Metrics) {
    let Ok(limits) = fs_err::read_to_string("/proc/self/limits") else { return };
    let limit = |name: &str| {
        let soft = limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
        if soft == "unlimited" { Some(18_446_744_073_709_552_000.0) } else { soft.parse().ok() }
    };
    if let Some(files) = limit("Max open files") {
        metrics.gauge("process_max_fds", "Maximum number of open file descriptors.", &[], files);
    }
    if let Some(bytes) = limit("Max address space") {
        let help = "Maximum amount of virtual memory available in bytes.";
        metrics.gauge("process_virtual_memory_max_bytes", help, &[], bytes);
    }
}
