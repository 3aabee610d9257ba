use super::*;

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
}

fn flags(line: &str) -> Result<CommonFlags, clap::Error> {
    let words = std::iter::once("controller").chain(line.split_whitespace()).map(OsString::from);
    parse::<Flags>(words).map(|flags| flags.common)
}

#[test]
fn defaults_are_those_of_flux() {
    let flags = flags("").unwrap();
    assert_eq!((flags.metrics_addr.as_str(), flags.health_addr.as_str()), (":8080", ":9440"));
    assert!(flags.watch_all_namespaces && !flags.enable_leader_election);
    assert!(flags.leader_election_release_on_cancel);
    let seconds = |duration: GoDuration| duration.0.as_secs_f64();
    assert_eq!(seconds(flags.leader_election_lease_duration), 35.0);
    assert_eq!((seconds(flags.min_retry_delay), seconds(flags.max_retry_delay)), (0.75, 900.0));
    assert_eq!(flags.interval_jitter_percentage, 5);
}

#[test]
fn booleans_read_as_pflag_does() {
    let led = |line: &str| flags(line).unwrap().enable_leader_election;
    assert!(led("--enable-leader-election"));
    assert!(led("--enable-leader-election=true"));
    assert!(!led("--enable-leader-election=false"));
    assert!(led("-enable-leader-election=1"));
    assert!(
        led("--enable-leader-election --log-level debug"),
        "a bare flag takes no value from the next word"
    );
    assert!(flags("--enable-leader-election=maybe").is_err());
}

#[test]
fn the_install_manifest_line_parses() {
    let flags = flags(
        "--events-addr=http://notification-controller.flux-system.svc.cluster.local./ \
         --watch-all-namespaces=true --log-level=info --log-encoding=json --enable-leader-election",
    )
    .unwrap();
    assert_eq!(flags.events_addr, "http://notification-controller.flux-system.svc.cluster.local./");
}

#[test]
fn the_last_of_a_repeated_flag_wins_and_single_dashes_do() {
    let flags = flags("--log-level=debug -log-level=trace --kube-api-qps 500").unwrap();
    assert_eq!(flags.log_level, LogLevel::Trace);
    assert!((flags.kube_api_qps - 500.0).abs() < f32::EPSILON);
}

#[test]
fn a_jitter_of_100_percent_is_refused() {
    assert!(flags("--interval-jitter-percentage=100").is_err());
    assert!(flags("--no-such-flag").is_err());
}

#[test]
fn durations_are_gos() {
    let nanos = |text: &str| text.parse::<GoDuration>().map(|duration| duration.0.as_nanos());
    assert_eq!(nanos("1h30m"), Ok(5_400_000_000_000));
    assert_eq!(nanos("1.5h"), Ok(5_400_000_000_000));
    assert_eq!(nanos("750ms"), Ok(750_000_000));
    assert_eq!(nanos("0"), Ok(0));
    for bad in ["", "5", "5x", "s", "-5s", "1h5", "1..5s"] {
        assert!(nanos(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_unknown_feature_gate_is_refused_by_name() {
    let known = [("CacheSecretsAndConfigMaps", false), ("ObjectLevelWorkloadIdentity", false)];
    let gates = FeatureGates::parse("CacheSecretsAndConfigMaps=true", &known).unwrap();
    assert!(gates.enabled("CacheSecretsAndConfigMaps") && !gates.enabled("ObjectLevelWorkloadIdentity"));
    let error = FeatureGates::parse("Nope=true", &known).unwrap_err().to_string();
    assert_eq!(
        error,
        "feature-gate 'Nope' not supported; this controller has CacheSecretsAndConfigMaps, ObjectLevelWorkloadIdentity"
    );
    assert!(FeatureGates::parse("CacheSecretsAndConfigMaps", &known).is_err());
}

#[test]
fn shards_elect_apart() {
    let name = |line: &str| flags(line).unwrap().lease_name("source-controller");
    assert_eq!(name(""), "source-controller-leader-election");
    // printf 'sharding.fluxcd.io/key=shard1' | sha256sum | cut -c1-8
    assert_eq!(
        name("--watch-label-selector=sharding.fluxcd.io/key=shard1"),
        "source-controller-leader-election-73fdc1be"
    );
}
