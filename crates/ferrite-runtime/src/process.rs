//! A controller process from `main` to exit code: flags, log, client, listeners, leadership, signals.

mod requests;

use std::{collections::BTreeMap, error::Error, future::Future, io::Write as _, process::ExitCode};

use clap::Parser;
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio_util::sync::CancellationToken;

use crate::{
    classify::chain,
    clock::Clock,
    events::Recorder,
    flags::{self, CommonFlags, FeatureGates},
    leader::Election,
    logging,
    metrics::Metrics,
    queue::Backoff,
    runtime::{Runtime, Scope},
    serve,
};

/// The exit code of a wrong flag, environment or feature gate (`EX_USAGE`).
pub const BAD_CONFIGURATION: u8 = 64;

/// Any error that ends a process.
pub type Fatal = Box<dyn Error + Send + Sync>;

/// What a controller's `main` gives to its body.
#[derive(Debug)]
pub struct Process {
    /// The shared surroundings; its `shutdown` is cancelled by a signal and when leadership is lost.
    pub runtime: Runtime,
    /// Which feature gates are on.
    pub gates: FeatureGates,
    /// The environment, read once.
    pub environment: BTreeMap<String, String>,
    /// The namespace the process runs in (`RUNTIME_NAMESPACE`).
    pub namespace: String,
}

/// Runs a controller: parses `A` from the command line, elects if asked to, and calls `body` as the leader.
///
/// `name` is the controller's name on the wire; `gates` are its feature gates with their defaults; `field_manager`
/// signs its status patches. Returns when `body` does, or soon after SIGTERM or SIGINT.
pub fn main<A, F>(
    name: &'static str,
    field_manager: &str,
    gates: &[(&'static str, bool)],
    body: impl FnOnce(A, Process) -> F,
) -> ExitCode
where
    A: Parser + AsRef<CommonFlags>,
    F: Future<Output = Result<(), Fatal>>,
{
    main_with_standby(name, field_manager, gates, async |_: &A, _: &Process| Ok(()), body)
}

/// As [`main`], with `standby` called first: it starts what every replica does, whether it leads or not.
pub fn main_with_standby<A, F>(
    name: &'static str,
    field_manager: &str,
    gates: &[(&'static str, bool)],
    standby: impl AsyncFnOnce(&A, &Process) -> Result<(), Fatal>,
    body: impl FnOnce(A, Process) -> F,
) -> ExitCode
where
    A: Parser + AsRef<CommonFlags>,
    F: Future<Output = Result<(), Fatal>>,
{
    let arguments: A = match flags::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = !error.use_stderr();
            let _printed = error.print().is_ok();
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(BAD_CONFIGURATION) };
        }
    };
    let common = arguments.as_ref().clone();
    let gates = match FeatureGates::parse(&common.feature_gates, gates) {
        Ok(gates) => gates,
        Err(error) => {
            let _printed = writeln!(std::io::stderr(), "invalid --feature-gates: {error}").is_ok();
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    logging::init(common.log_level, common.log_encoding);
    // Another provider may be installed already by whoever embeds this.
    let _already_installed = rustls::crypto::ring::default_provider().install_default().is_err();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the scheduler");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let steps = (standby, body);
        match run(name, field_manager, &common, gates, arguments, steps).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(error = %chain(error.as_ref()), "the controller ended");
                ExitCode::FAILURE
            }
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

async fn run<A, F>(
    name: &'static str,
    field_manager: &str,
    common: &CommonFlags,
    gates: FeatureGates,
    arguments: A,
    (standby, body): (impl AsyncFnOnce(&A, &Process) -> Result<(), Fatal>, impl FnOnce(A, Process) -> F),
) -> Result<(), Fatal>
where
    F: Future<Output = Result<(), Fatal>>,
{
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let namespace = environment.get("RUNTIME_NAMESPACE").cloned().unwrap_or_else(|| "flux-system".to_owned());
    let shutdown = CancellationToken::new();
    tokio::spawn(signals(shutdown.clone()));
    let metrics = Metrics::new();
    let client = counted(config(&common.kubeconfig).await?, &metrics)?;
    let parts = (client, metrics);
    let runtime = runtime(name, field_manager, common, parts, &namespace, shutdown.clone());
    if common.metrics_addr != "0" {
        serve::metrics(&common.metrics_addr, runtime.metrics.clone(), shutdown.clone()).await?;
    }
    if common.health_addr != "0" {
        serve::health(&common.health_addr, shutdown.clone()).await?;
    }
    let process = Process { runtime, gates, environment, namespace };
    standby(&arguments, &process).await?;
    let Process { runtime, namespace, .. } = &process;
    let leadership = if common.enable_leader_election {
        let election = election(name, common, namespace);
        let status = ("leader_election_master_status", "Whether this replica leads: 1 it does, 0 it waits.");
        runtime.metrics.gauge(status.0, status.1, &[("name", &election.name)], 0.0);
        let lease = election.name.clone();
        let Some(leadership) = election.lead(runtime.client.clone(), runtime.clock.clone(), &shutdown).await
        else {
            return Ok(());
        };
        runtime.metrics.gauge(status.0, status.1, &[("name", &lease)], 1.0);
        Some(leadership)
    } else {
        None
    };
    let lost = leadership.as_ref().map(|leadership| leadership.lost().clone()).unwrap_or_default();
    let body = body(arguments, process);
    let mut body = std::pin::pin!(body);
    let result = tokio::select! {
        result = &mut body => result,
        () = lost.cancelled() => {
            // What still runs would race the new leader; it gets no grace.
            shutdown.cancel();
            Err("leader election lost".into())
        }
    };
    shutdown.cancel();
    if let Some(leadership) = leadership {
        leadership.release().await;
    }
    result
}

fn runtime(
    name: &str,
    field_manager: &str,
    common: &CommonFlags,
    (client, metrics): (Client, Metrics),
    namespace: &str,
    shutdown: CancellationToken,
) -> Runtime {
    let clock = Clock::system();
    // The notification-controller's flag of this name is where it listens, which is no URL.
    let post_to = Some(common.events_addr.clone()).filter(|address| address.contains("://"));
    Runtime {
        name: name.to_owned(),
        recorder: Recorder::start(name, client.clone(), post_to, clock.clone(), &metrics, shutdown.clone()),
        client,
        clock,
        metrics,
        shutdown,
        scope: Scope {
            namespace: (!common.watch_all_namespaces).then(|| namespace.to_owned()),
            selector: (!common.watch_label_selector.is_empty()).then(|| common.watch_label_selector.clone()),
        },
        field_manager: field_manager.to_owned(),
        backoff: Backoff { base: common.min_retry_delay.0, cap: common.max_retry_delay.0 },
        jitter_percent: common.interval_jitter_percentage,
        grace: std::time::Duration::from_secs(5),
    }
}

fn election(name: &str, common: &CommonFlags, namespace: &str) -> Election {
    let identity = format!("{}_{}", crate::events::instance(), crate::drive::random_uuid());
    Election {
        namespace: namespace.to_owned(),
        name: common.lease_name(name),
        identity,
        lease_duration: common.leader_election_lease_duration.0,
        renew_deadline: common.leader_election_renew_deadline.0,
        retry_period: common.leader_election_retry_period.0,
        release_on_cancel: common.leader_election_release_on_cancel,
    }
}

/// A client for `--kubeconfig`, or for wherever this process runs.
///
/// # Errors
///
/// When the file cannot be read, or there is no cluster to be found.
pub async fn client(kubeconfig: &str) -> Result<Client, Fatal> {
    Ok(Client::try_from(config(kubeconfig).await?)?)
}

/// A client whose requests show in `rest_client_requests_total`.
fn counted(config: Config, metrics: &Metrics) -> Result<Client, Fatal> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&requests::Counting(metrics.clone())).build())
}

async fn config(kubeconfig: &str) -> Result<Config, Fatal> {
    let mut config = if kubeconfig.is_empty() {
        Config::infer().await?
    } else {
        Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &KubeConfigOptions::default())
            .await?
    };
    // The queue and the watches have their own backoff; hidden retries would look like a hang.
    config.default_retry = false;
    Ok(config)
}

async fn signals(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals; a kill will not be clean");
        return;
    };
    tokio::select! {
        _received = terminate.recv() => {}
        _received = interrupt.recv() => {}
    }
    tracing::info!("shutting down");
    shutdown.cancel();
}
