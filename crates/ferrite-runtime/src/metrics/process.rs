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
    if let Ok(open) = fs_err::read_dir("/proc/self/fd") {
        metrics.gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            &[],
            super::count(open.count()),
        );
    }
}
