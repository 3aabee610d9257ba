use super::*;

#[track_caller]
fn check(text: &str, nanos: i64, written: &str) {
    let duration: Duration = text.parse().unwrap();
    assert_eq!((duration.as_nanos(), duration.to_string().as_str()), (nanos, written), "{text}");
    assert_eq!(written.parse::<Duration>().unwrap(), duration, "{text} read back");
}

/// Values from Go 1.26: `time.ParseDuration` and `Duration.String`.
#[test]
fn go_durations_are_read_and_written_as_go_does() {
    check("0", 0, "0s");
    check("-0", 0, "0s");
    check("1h30m", 5_400_000_000_000, "1h30m0s");
    check("1.5h", 5_400_000_000_000, "1h30m0s");
    check("90s", 90_000_000_000, "1m30s");
    check("10m", 600_000_000_000, "10m0s");
    check("100ms", 100_000_000, "100ms");
    check("1.5s", 1_500_000_000, "1.5s");
    check("+5s", 5_000_000_000, "5s");
    check("-1.5h", -5_400_000_000_000, "-1h30m0s");
    check(".5s", 500_000_000, "500ms");
    check("5.s", 5_000_000_000, "5s");
    check("1100us", 1_100_000, "1.1ms");
    check("2µs", 2_000, "2µs");
    check("2200ns", 2_200, "2.2µs");
    check("1ns", 1, "1ns");
    check("1h0m0.000000001s", 3_600_000_000_001, "1h0m0.000000001s");
    check("0.3333333333333333333h", 1_199_999_999_999, "19m59.999999999s");
    check("1m1m", 120_000_000_000, "2m0s");
    check("9223372036854775807ns", i64::MAX, "2562047h47m16.854775807s");
    check("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s");
}

#[track_caller]
fn refused(text: &str, problem: &str) {
    let error = text.parse::<Duration>().unwrap_err().to_string();
    assert!(error.contains(problem), "{text}: {error}");
}

#[test]
fn what_go_refuses_is_refused_with_a_hint() {
    refused("", "it is empty");
    refused("-", "it is empty");
    refused("3", "a unit is missing");
    refused("s", "a number is missing");
    refused(".s", "a number is missing");
    refused("1d", "a unit is unknown");
    refused("1 s", "a unit is unknown");
    refused("1h-2m", "a unit is unknown");
    refused("9223372036854775808ns", "it is too long");
    refused("3000000h", "it is too long");
    refused("99999999999999999999s", "it is too long");
}

#[test]
fn negative_durations_become_no_wait() {
    assert_eq!("-5s".parse::<Duration>().unwrap().to_std(), std::time::Duration::ZERO);
}

proptest::proptest! {
    #[test]
    fn what_is_written_reads_back(nanos: i64) {
        let duration = Duration::from_nanos(nanos);
        proptest::prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+0-9.a-zµ ]{0,40}|\\PC{0,20}") {
        if let Ok(duration) = text.parse::<Duration>() {
            proptest::prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
        }
    }
}
