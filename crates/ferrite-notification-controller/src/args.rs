//! The command line: Flux's flags, and what becomes of them.

use clap::{ArgAction, Parser};
use ferrite_runtime::flags::{CommonFlags, GoDuration, go_bool};

use crate::Config;

/// The feature gates of notification-controller and their defaults.
pub const FEATURE_GATES: &[(&str, bool)] = &[
    ("CacheSecretsAndConfigMaps", false),
    ("DisableConfigWatchers", false),
    ("ObjectLevelWorkloadIdentity", false),
];

/// Flags of `notification-controller`; names and defaults are Flux's.
#[derive(Debug, Parser)]
#[command(
    name = "notification-controller",
    version,
    about = "Tells others what happened, and takes webhooks"
)]
pub struct Args {
    /// Flags of every controller. `--events-addr` is where events are taken here, `:9090` when it is empty.
    #[command(flatten)]
    pub common: CommonFlags,
    /// The address webhooks are taken at.
    #[arg(long = "receiverAddr", default_value = ":9292")]
    pub receiver_addr: String,
    /// How many objects of a kind are worked on at once.
    #[arg(long, default_value_t = 4)]
    pub concurrent: usize,
    /// An event that is repeated within this time is dropped.
    #[arg(long, default_value = "5m")]
    pub rate_limit_interval: GoDuration,
    /// Label request metrics with the whole path.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub export_http_path_metrics: bool,
    /// Refuse references to objects of other namespaces.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = go_bool)]
    pub no_cross_namespace_refs: bool,
    /// The service account of objects that name none, for workload identity.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
}

impl AsRef<CommonFlags> for Args {
    fn as_ref(&self) -> &CommonFlags {
        &self.common
    }
}

impl Args {
    /// What the controller needs of the flags.
    #[must_use]
    pub fn config(&self) -> Config {
        let defaults = Config::default();
        Config {
            events_addr: Some(self.common.events_addr.clone())
                .filter(|address| !address.is_empty())
                .unwrap_or(defaults.events_addr),
            receiver_addr: self.receiver_addr.clone(),
            concurrent: self.concurrent,
            rate_limit_interval: self.rate_limit_interval.0,
            path_metrics: self.export_http_path_metrics,
            no_cross_namespace_refs: self.no_cross_namespace_refs,
            watch_configs: Some(self.common.watch_configs_label_selector.clone())
                .filter(|selector| !selector.is_empty()),
        }
    }
}
