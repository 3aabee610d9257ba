use super::*;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn check(text: &str, expect: &str) {
    let variables = variables(&[
        ("name", "web"),
        ("empty", ""),
        ("mixed", "aBc Def"),
        ("path", "/home/user/file.tar.gz"),
        ("word", "über"),
        ("abc", "abcABC123ABCabc"),
        ("dots", "a.b.c"),
        ("under_score1", "ok"),
    ]);
    assert_eq!(expand(text, &variables, true).as_deref(), Ok(expect), "{text}");
}

#[track_caller]
fn refuse(text: &str, expect: &str) {
    let error = expand(text, &variables(&[("name", "web"), ("v", "x")]), true).unwrap_err();
    assert!(error.to_string().starts_with(expect), "{text}: {error}");
}

#[test]
fn plain_variables_and_everything_around_them() {
    check("no variables, $name, $, {name} }", "no variables, $name, $, {name} }");
    check("a: ${name}\nb: ${under_score1}", "a: web\nb: ok");
    check("${empty}", "");
    check("", "");
    check("${name}${name}", "webweb");
}

#[test]
fn two_dollars_are_one() {
    check("$${name}", "${name}");
    check("$$$${name}", "$${name}");
    check("$$${name}", "$web");
    check("cost: $$5, $5", "cost: $5, $5");
    check("${name}$${var$${name}$name${name}", "web${var${name}$nameweb");
    check("$${var=${name}}", "${var=web}");
    check("${missing:-a$$b}", "a$$b");
}

#[test]
fn defaults_count_for_unset_and_for_empty_whatever_the_operator() {
    for operator in [":-", ":=", "=", ":+", ":?"] {
        check(&format!("${{missing{operator}d}}"), "d");
        check(&format!("${{empty{operator}d}}"), "d");
        check(&format!("${{name{operator}d}}"), "web");
    }
    check("${missing:-}", "");
    check("${missing:-a b: c}", "a b: c");
    check("${missing:-${name}}", "web");
    check("${missing:=pre-${other:-${name^^}}-post}", "pre-WEB-post");
}

#[test]
fn length_and_case() {
    check("${#name}", "3");
    check("${#word}", "5");
    check("${mixed^}|${mixed^^}|${mixed,}|${mixed,,}", "ABc Def|ABC DEF|aBc Def|abc def");
    check("${word^}|${empty^}|${name^,}", "Über||web");
}

#[test]
fn substrings_count_bytes_and_do_what_bash_does() {
    check("${path:6}", "user/file.tar.gz");
    check("${path:6:4}", "user");
    check("${path:-3:2}", "/home/user/file.tar.gz");
    check("${name:0:-1}", "we");
    check("${name:1:9}|${name:9}|${name:9:1}|${name:2:-2}", "eb|||");
    check("${name:x}|${name:0:x}|${name:${#empty}:1}", "web|web|w");
}

#[test]
fn replacements_are_literal() {
    check("${abc/abc/x}", "xABC123ABCabc");
    check("${abc//abc/x}", "xABC123ABCx");
    check("${abc/#abc/x}|${abc/#ABC/x}", "xABC123ABCabc|abcABC123ABCabc");
    check("${abc/%abc/x}|${abc/%ABC/x}", "abcABC123ABCx|abcABC123ABCabc");
    check("${name/#/pre-}|${name/%/-post}", "pre-web|web-post");
    check("${dots//./}|${dots//./-}|${dots/*/-}", "abc|a-b-c|a.b.c");
    check(r"${path//\//_}", "_home_user_file.tar.gz");
}

#[test]
fn trims_match_globs_and_slashes_too() {
    check("${path#*/}|${path##*/}", "home/user/file.tar.gz|file.tar.gz");
    check("${path%.*}|${path%%.*}", "/home/user/file.tar|/home/user/file");
    check("${dots#?.}|${dots#[a-c].}|${dots#[^a].}", "b.c|b.c|a.b.c");
    check("${dots#x}|${dots#[}|${dots%[a-c]}", "a.b.c|a.b.c|a.b.c");
    check("${name##*}|${name#*}", "|eb");
}

#[test]
fn a_variable_without_value_is_an_error_in_strict_mode_only() {
    let text = "x: ${missing}";
    for form in ["", "^", ":1", "/a/b", "#a", "%%a"] {
        let text = format!("a\nb: ${{missing{form}}}");
        let error = expand(&text, &Variables::new(), true).unwrap_err();
        assert_eq!(error.to_string(), "variable not set (strict mode): \"missing\" in line 2");
    }
    assert_eq!(expand(text, &Variables::new(), false).as_deref(), Ok("x: "));
    refuse("${name:-${missing}}", "variable not set");
}

#[test]
fn what_is_no_expansion_is_an_error() {
    refuse("${arr[@]}", "missing closing brace");
    refuse("${v-d}", "missing closing brace");
    refuse("${v+d}", "missing closing brace");
    refuse("${v?d}", "missing closing brace");
    refuse("${v", "missing closing brace");
    refuse("${ v }", "unable to parse variable name");
    refuse("${}", "unable to parse variable name");
    refuse("${!v}", "unable to parse variable name");
    refuse("${v:}", "unable to parse substitution within function");
    refuse("${v#}", "unable to parse substitution within function");
    refuse("${v:-x", "unable to parse substitution within function");
    refuse("${v/a}", "bad substitution");
    refuse("${#}", "bad substitution");
    refuse("${v^x}", "bad substitution");
}

#[test]
fn growth_and_depth_are_bounded() {
    let deep = format!("{}{}", "${a:-".repeat(200), "}".repeat(200));
    assert!(expand(&deep, &Variables::new(), true).unwrap_err().to_string().contains("nested deeper"));
    let variables = variables(&[("many", &"x".repeat(100_000)), ("long", &"y".repeat(10_000))]);
    assert!(expand("${many//x/${long}}", &variables, true).unwrap_err().to_string().contains("grows beyond"));
}

#[test]
fn no_input_makes_it_panic() {
    let pieces = ["$", "{", "}", "a", ":", "-", "#", "%", "/", "^", ",", "\\", "ü", "[", "*", "=", "1"];
    let mut seed = 7_usize;
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(seed >> 33) % pieces.len()]);
        }
        let _either_way =
            expand(&text, &variables(&[("a", "äbc"), ("1", "x")]), seed.is_multiple_of(2)).is_ok();
    }
}
