//! The formats that are checked.

/// Checks a text; unknown formats accept all.
pub(super) fn check(name: &str, text: &str) -> Result<(), String> {
    match name {
        "ipv4" => ipv4(text),
        "ipv6" => ipv6(text),
        "hostname" => hostname(text),
        "email" => email(text),
        "date" => parse("2006-01-02", text),
        "date-time" => date_time(text),
        "time" => parse("15:04:05.999999999Z07:00", text),
        "uri" | "iri" => uri(text, true),
        "uri-reference" | "iri-reference" => uri(text, false),
        "uuid" => uuid(text),
        "regex" => regex::Regex::new(text).map(|_| ()).map_err(|_| "invalid regular expression".to_owned()),
        "json-pointer" => pointer(text),
        _ => Ok(()),
    }
}

fn fail(why: &str) -> Result<(), String> {
    Err(why.to_owned())
}

fn ipv4(text: &str) -> Result<(), String> {
    let groups: Vec<&str> = text.split('.').collect();
    if groups.len() != 4 {
        return fail("expected four decimals");
    }
    for group in groups {
        if group.len() > 1 && group.starts_with('0') {
            return fail("leading zeros");
        }
        match group.parse::<i64>() {
            Ok(0..=255) => {}
            Ok(_) => return fail("decimal must be between 0 and 255"),
            Err(_) => return Err(format!("strconv.Atoi: parsing {group:?}: invalid syntax")),
        }
    }
    Ok(())
}

fn ipv6(text: &str) -> Result<(), String> {
    if !text.contains(':') {
        return fail("missing colon");
    }
    if text.contains('%') {
        return fail("zone id is not a part of ipv6 address");
    }
    text.parse::<std::net::Ipv6Addr>()
        .map(|_| ())
        .map_err(|_| format!("ParseAddr({text:?}): unable to parse IP"))
}

fn hostname(text: &str) -> Result<(), String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 {
        return fail("more than 253 characters long");
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return fail("label must be 1 to 63 characters long");
        }
        if label.starts_with('-') {
            return fail("label starts with hyphen");
        }
        if label.ends_with('-') {
            return fail("label ends with hyphen");
        }
        if let Some(bad) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
            return Err(format!("invalid character {bad:?}"));
        }
    }
    Ok(())
}

fn email(text: &str) -> Result<(), String> {
    if text.len() > 254 {
        return fail("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return fail("missing @");
    };
    if local.len() > 64 {
        return fail("local part more than 64 characters long");
    }
    if local.is_empty()
        || local.starts_with('.')
        || local.ends_with('.')
        || local.contains("..")
        || local.contains(' ')
    {
        return fail("invalid local part");
    }
    hostname(domain).map_err(|why| format!("invalid domain: {why}"))
}

fn parse(layout: &str, text: &str) -> Result<(), String> {
    ferrite_gotemplate::Time::parse(layout, text).map(|_| ()).map_err(|e| e.text().to_owned())
}

fn date_time(text: &str) -> Result<(), String> {
    if text.len() < 20 {
        return fail("less than 20 characters long");
    }
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return fail("11th character must be t or T");
    }
    parse("2006-01-02T15:04:05.999999999Z07:00", &text.to_uppercase())
}

fn uri(text: &str, absolute: bool) -> Result<(), String> {
    if text.chars().any(|c| c.is_control()) {
        return Err(format!("parse {text:?}: net/url: invalid control character in URL"));
    }
    let scheme = text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    if absolute && !scheme {
        return fail("relative url");
    }
    if !absolute && text.contains('\\') {
        return fail(r"contains \");
    }
    Ok(())
}

fn uuid(text: &str) -> Result<(), String> {
    let groups: Vec<&str> = text.split('-').collect();
    if groups.len() != 5 {
        return fail("must have 5 elements");
    }
    for (i, (group, length)) in groups.iter().zip([8, 4, 4, 4, 12]).enumerate() {
        if group.len() != length {
            return Err(format!("element {} must be {length} characters long", i + 1));
        }
        if !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return fail("non-hex character");
        }
    }
    Ok(())
}

fn pointer(text: &str) -> Result<(), String> {
    if !text.is_empty() && !text.starts_with('/') {
        return fail("not starting with /");
    }
    if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
        return fail("~ must be followed by 0 or 1");
    }
    Ok(())
}
