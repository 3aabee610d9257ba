//! The flags every controller has, under Flux's names and with its defaults, read the way Go's pflag reads them.

use std::{collections::BTreeMap, ffi::OsString, str::FromStr, time::Duration};

use clap::{ArgAction, Args, Parser};

/// A duration in Go's notation: `750ms`, `1h30m`, `1.5h`. Not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

/// A text that is no Go duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write it as 750ms, 30s, 1h30m or 1.5h")]
pub struct DurationError(String);

impl FromStr for GoDuration {
    type Err = DurationError;

    /// `time.ParseDuration` without signs: one or more decimal numbers, each with a unit; a bare `0` too.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let refuse = || DurationError(text.to_owned());
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let (mut rest, mut total) = (text, Duration::ZERO);
        if rest.is_empty() {
            return Err(refuse());
        }
        while !rest.is_empty() {
            let digits =
                rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(refuse)?;
            let (number, tail) = rest.split_at(digits);
            let letters =
                tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let seconds = match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(refuse()),
            };
            let number: f64 = number.parse().map_err(|_| refuse())?;
            let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| refuse())?;
            total = total.checked_add(part).ok_or_else(refuse)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

/// Go's `strconv.ParseBool`.
///
/// # Errors
///
/// For anything but `1 t T TRUE true True 0 f F FALSE false False`.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogEncoding {
    /// One JSON object a line.
    Json,
    /// Words for a terminal.
    Console,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Everything, libraries included.
    Trace,
    /// What each reconcile decided.
    Debug,
    /// What changed.
    Info,
    /// What a person must look at.
    Error,
}

/// The flags common to all controllers; a controller flattens them into its own.
#[derive(Debug, Clone, Args)]
pub struct CommonFlags {
    /// The address the metric endpoint binds to; `0` serves none.
    #[arg(long, default_value = ":8080", env = "METRICS_ADDR")]
    pub metrics_addr: String,
    /// The address of the events receiver; none when empty.
    #[arg(long, default_value = "", env = "EVENTS_ADDR")]
    pub events_addr: String,
    /// The address the health endpoint binds to; `0` serves none.
    #[arg(long, default_value = ":9440")]
    pub health_addr: String,
    /// Path to a kubeconfig file; in-cluster configuration, then the usual places, when empty.
    #[arg(long, default_value = "")]
    pub kubeconfig: String,
    /// Watch custom resources in all namespaces; if false, only in the runtime's namespace.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = go_bool)]
    pub watch_all_namespaces: bool,
    /// Watch only custom resources whose labels match this selector.
    #[arg(long, default_value = "")]
    pub watch_label_selector: String,
    /// Watch only ConfigMaps and Secrets whose labels match this selector.
    #[arg(long, default_value = "reconcile.fluxcd.io/watch=Enabled")]
    pub watch_configs_label_selector: String,
    /// Accepted for Flux; requests are left to the API server's priority and fairness.
    #[arg(long, default_value_t = 50.0)]
    pub kube_api_qps: f32,
    /// Accepted for Flux; requests are left to the API server's priority and fairness.
    #[arg(long, default_value_t = 300)]
    pub kube_api_burst: u32,
    /// Log encoding.
    #[arg(long, value_enum, default_value = "json")]
    pub log_encoding: LogEncoding,
    /// Log verbosity.
    #[arg(long, value_enum, default_value = "info")]
    pub log_level: LogLevel,
    /// Elect a leader, so that only one replica reconciles.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub enable_leader_election: bool,
    /// Give the lease up on a clean shutdown, so that another replica takes over at once.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = go_bool)]
    pub leader_election_release_on_cancel: bool,
    /// How long others wait before they take a lease that is not renewed.
    #[arg(long, default_value = "35s")]
    pub leader_election_lease_duration: GoDuration,
    /// How long the leader tries to renew before it gives up.
    #[arg(long, default_value = "30s")]
    pub leader_election_renew_deadline: GoDuration,
    /// Time between two tries at the lease.
    #[arg(long, default_value = "5s")]
    pub leader_election_retry_period: GoDuration,
    /// The first delay after a failed reconcile.
    #[arg(long, default_value = "750ms")]
    pub min_retry_delay: GoDuration,
    /// The longest delay after a failed reconcile.
    #[arg(long, default_value = "15m")]
    pub max_retry_delay: GoDuration,
    /// Share of an interval in percent by which it is moved at random; 0 to 99.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..100))]
    pub interval_jitter_percentage: u8,
    /// Feature gates as `Name=true,Other=false`.
    #[arg(long, default_value = "")]
    pub feature_gates: String,
    /// Cloud provider tokens kept in memory; 0 keeps none.
    #[arg(long, default_value_t = 100)]
    pub token_cache_max_size: usize,
    /// The longest time a cloud provider token is kept.
    #[arg(long, default_value = "1h")]
    pub token_cache_max_duration: GoDuration,
}

impl CommonFlags {
    /// The lease's name: by the controller, and by the shard's selector so that shards elect apart.
    #[must_use]
    pub fn lease_name(&self, controller: &str) -> String {
        use sha2::{Digest as _, Sha256};
        if self.watch_label_selector.is_empty() {
            return format!("{controller}-leader-election");
        }
        let digest = Sha256::digest(self.watch_label_selector.as_bytes());
        let [first, second, third, fourth] = [digest[0], digest[1], digest[2], digest[3]];
        format!("{controller}-leader-election-{first:02x}{second:02x}{third:02x}{fourth:02x}")
    }
}

/// What of `--feature-gates` is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureGates(BTreeMap<&'static str, bool>);

/// A wrong `--feature-gates`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// A name this controller does not have.
    #[error("feature-gate '{name}' not supported; this controller has {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names it has.
        known: String,
    },
    /// Not `Name=true` or `Name=false`.
    #[error("feature-gate `{0}` is not written as Name=true or Name=false")]
    Syntax(String),
}

impl FeatureGates {
    /// Reads `text` over the gates a controller knows and their defaults.
    ///
    /// # Errors
    ///
    /// [`GateError`] for an unknown name or a value that is no boolean.
    pub fn parse(text: &str, known: &[(&'static str, bool)]) -> Result<Self, GateError> {
        let mut gates: BTreeMap<&'static str, bool> = known.iter().copied().collect();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let syntax = || GateError::Syntax(item.to_owned());
            let (name, value) = item.split_once('=').ok_or_else(syntax)?;
            let value = go_bool(value.trim()).map_err(|_| syntax())?;
            let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let gate = gates
                .get_mut(name.trim())
                .ok_or_else(|| GateError::Unknown { name: name.trim().to_owned(), known: names() })?;
            *gate = value;
        }
        Ok(Self(gates))
    }

    /// Whether a gate is on; one the controller does not have is off.
    #[must_use]
    pub fn enabled(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(false)
    }
}

/// Parses a command line as pflag would: also `-long-name`, and the last of a repeated flag wins.
///
/// # Errors
///
/// clap's, to be printed; `--help` and `--version` come this way too.
pub fn parse<A: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<A, clap::Error> {
    let command = A::command().args_override_self(true);
    let matches = command.clone().try_get_matches_from(normalise(&command, arguments))?;
    A::from_arg_matches(&matches)
}

/// Turns `-name` and `-name=value` into `--name…` where `name` is a long flag.
fn normalise(command: &clap::Command, arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let is_long = |name: &str| command.get_arguments().any(|argument| argument.get_long() == Some(name));
    let long = |argument: OsString| {
        let Some(rest) = argument.to_str().and_then(|text| text.strip_prefix('-')) else { return argument };
        let name = rest.split_once('=').map_or(rest, |(name, _)| name);
        if is_long(name) { OsString::from(format!("--{rest}")) } else { argument }
    };
    arguments.into_iter().map(long).collect()
}

#[cfg(test)]
mod tests;
