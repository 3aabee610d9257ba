//! The command line: Flux's flags, and what becomes of them.

use clap::{ArgAction, Parser};
use ferrite_cloud::{CacheLimits, Environment};
use ferrite_runtime::flags::{CommonFlags, GoDuration, go_bool};
use ferrite_runtime::process::{Fatal, Process};
use ferrite_runtime::workload_identity::OBJECT_LEVEL_WORKLOAD_IDENTITY;

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
    /// What the controller needs of the flags, the gates and the environment.
    ///
    /// # Errors
    ///
    /// A default ServiceAccount without the gate that lets it act.
    pub fn config(&self, process: &Process) -> Result<Config, Fatal> {
        let object_identity = process.gates.enabled(OBJECT_LEVEL_WORKLOAD_IDENTITY);
        let account = Some(self.default_service_account.clone()).filter(|name| !name.is_empty());
        if account.is_some() && !object_identity {
            let problem =
                "--default-service-account needs the feature gate ObjectLevelWorkloadIdentity, which is off";
            return Err(problem.into());
        }
        let defaults = Config::default();
        Ok(Config {
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
            object_identity,
            default_service_account: account,
            token_cache: CacheLimits {
                tokens: self.common.token_cache_max_size,
                duration: self.common.token_cache_max_duration.0,
            },
            environment: Environment::new(process.environment.clone()),
        })
    }
}
