//! Expectations were read off `Masterminds/semver` v3.4 behaviour.

use crate::{Constraint, Version};

#[track_caller]
fn check(range: &str, inside: &[&str], outside: &[&str]) {
    let constraint = Constraint::parse(range).unwrap();
    for version in inside {
        assert!(constraint.matches(&Version::parse(version).unwrap()), "`{range}` must take {version}");
    }
    for version in outside {
        assert!(!constraint.matches(&Version::parse(version).unwrap()), "`{range}` must not take {version}");
    }
}

#[test]
fn plain_comparisons() {
    check("1.2.3", &["1.2.3", "v1.2.3", "1.2.3+build"], &["1.2.4", "1.2.3-rc.1"]);
    check("=1.2.3", &["1.2.3"], &["1.2.2"]);
    check("!=1.2.3", &["1.2.4", "2.0.0"], &["1.2.3", "2.0.0-rc.1"]);
    check("!=1.2", &["1.3.0"], &["1.2.0", "1.2.9"]);
    check("!=1.x", &["2.0.0"], &["1.0.0", "1.9.0"]);
    check(">1.2.3", &["1.2.4"], &["1.2.3"]);
    check(">1", &["2.0.0"], &["1.0.0", "1.9.9"]);
    check(">1.2", &["1.3.0", "2.0.0"], &["1.2.0", "1.2.9"]);
    check(">=1.2.3", &["1.2.3", "3.0.0"], &["1.2.2"]);
    check("=>1.2.3", &["1.2.3"], &["1.2.2"]);
    check("<1", &["0.9.9"], &["1.0.0", "1.0.1"]);
    check("<=1", &["1.0.0", "1.9.9", "0.1.0"], &["2.0.0"]);
    check("=<1.2", &["1.2.9"], &["1.3.0"]);
}

#[test]
fn wildcards() {
    check("*", &["0.0.1", "1.0.0", "9.9.9"], &["1.0.0-rc.1"]);
    check("1.x", &["1.0.0", "1.9.0"], &["2.0.0", "0.9.0"]);
    check("1.2.*", &["1.2.0", "1.2.7"], &["1.3.0"]);
    check("1", &["1.7.0"], &["2.0.0"]);
    check("1.2", &["1.2.7"], &["1.3.0"]);
    check("X", &["1.0.0"], &[]);
    check("v1.x", &["1.4.0"], &["2.0.0"]);
}

#[test]
fn tilde_and_caret() {
    check("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]);
    check("~1", &["1.0.0", "1.9.0"], &["2.0.0"]);
    check("~>1.2", &["1.2.9"], &["1.3.0"]);
    check("~0.0.0", &["0.0.1", "5.0.0"], &[]);
    check("^1.2.3", &["1.2.3", "1.9.0"], &["2.0.0", "1.2.2"]);
    check("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0"]);
    check("^0.0.3", &["0.0.3"], &["0.0.4", "0.1.0"]);
    check("^0.0", &["0.0.9"], &["0.1.0"]);
    check("^0", &["0.9.0"], &["1.0.0"]);
    check("^1.x", &["1.0.0", "1.8.0"], &["2.0.0"]);
}

#[test]
fn ranges_and_groups() {
    check("1.2 - 1.4.5", &["1.2.0", "1.4.5"], &["1.4.6", "1.1.9"]);
    check("1.0.0 - 2", &["2.9.9"], &["3.0.0"]);
    check(">=1.0.0 <2.0.0", &["1.5.0"], &["2.0.0", "0.9.0"]);
    check(">= 1.0.0 , < 2.0.0", &["1.5.0"], &["2.0.0"]);
    check(">=1.0,<1.2||^3", &["1.1.0", "3.4.0"], &["1.2.0", "2.0.0"]);
    check("1.0.0 - 1.2.0 || >=3.0.0, !=3.1.0", &["1.1.0", "3.2.0"], &["3.1.0", "2.0.0"]);
}

#[test]
fn prereleases_count_only_where_the_group_names_one() {
    check(">=1.0.0", &[], &["1.1.0-rc.1", "2.0.0-alpha"]);
    check(">=1.0.0-0", &["1.0.0", "1.0.0-alpha", "2.0.0-rc.1"], &["0.9.0"]);
    check(">=1.0.0-0 <2.0.0", &["1.5.0-rc.1", "2.0.0-rc.1"], &["2.0.0"]);
    check(">=1.0.0-rc.2 <1.0.0", &["1.0.0-rc.2", "1.0.0-rc.10"], &["1.0.0-rc.1", "1.0.0"]);
    check("~1.2.3-beta.2", &["1.2.3-beta.4", "1.2.4"], &["1.2.3-beta.1", "1.3.0"]);
    check("^1.0.0 || 2.0.0-rc.1", &["1.1.0", "2.0.0-rc.1"], &["1.1.0-rc.1"]);
    check("*-0", &["1.0.0-rc.1", "1.0.0"], &[]);
}

#[test]
fn nonsense_is_refused() {
    for range in [
        "", " ", "||", "1.0 ||", ">", "> = 1", ">=1.0<2", "latest", "1.2.3.4", "1y", ">1 - 2", ",1.0",
        "1.0,", "^^1", "1.a",
    ] {
        assert!(Constraint::parse(range).is_err(), "`{range}` must be refused");
    }
    for version in [
        "",
        "v",
        "1.",
        "1.2.3.4",
        "a.b.c",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3+",
        "1.2.3-a..b",
        "99999999999999999999.0.0",
        " 1.2.3",
    ] {
        assert!(Version::parse(version).is_err(), "`{version}` must be refused");
    }
    assert!(Version::parse_full("1.2").is_err());
    assert!(Version::parse_full("v1.2.3-rc.1+b").is_ok());
}

#[test]
fn versions_are_ordered() {
    let ordered = [
        "0.1.0",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2",
        "v2",
        "10.0.0",
    ];
    for pair in ordered.windows(2) {
        let (a, b) = (Version::parse(pair[0]).unwrap(), Version::parse(pair[1]).unwrap());
        assert!(a < b, "{a} < {b}");
    }
    assert_eq!(Version::parse("1.0.0+a").unwrap(), Version::parse("v1.0+b").unwrap());
    assert_eq!(Version::parse("v1.2-rc.1+x").unwrap().to_string(), "1.2.0-rc.1+x");
}
