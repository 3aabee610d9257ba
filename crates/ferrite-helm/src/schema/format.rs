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
        "time" => time(text),
        "duration" => duration(text),
        "uri" | "iri" => uri(text, true),
        "uri-reference" | "iri-reference" => uri(text, false),
        "uuid" => uuid(text),
        "regex" => ferrite_gotemplate::compile_regex(text).map(|_| ()),
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
    let odd = |c: char| {
        c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>' | '[' | ']' | ',' | ';' | ':' | '\\')
    };
    if let Some(bad) = local.chars().find(|c| odd(*c)) {
        return Err(format!("invalid character {bad:?}"));
    }
    if local.is_empty() || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
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
    let (date, rest) = text.split_at_checked(10).ok_or("not a date")?;
    parse("2006-01-02", date)?;
    time(rest.get(1..).unwrap_or_default())
}

fn time(text: &str) -> Result<(), String> {
    if text.len() < 9 || !text.is_ascii() {
        return fail("less than 9 characters long");
    }
    let bytes = text.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return fail("missing colon in correct place");
    }
    let number = |from: usize| text.get(from..from + 2).and_then(|t| t.parse::<u32>().ok());
    let (Some(hour), Some(minute), Some(second)) = (number(0), number(3), number(6)) else {
        return fail("invalid hour/min/sec");
    };
    if hour > 23 || minute > 59 || second > 60 {
        return fail("hour/min/sec out of range");
    }
    let mut rest = text.get(8..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return fail("no digits in second fraction");
        }
        rest = fraction.get(digits..).unwrap_or_default();
    }
    if matches!(rest, "z" | "Z") {
        return Ok(());
    }
    if rest.len() != 6 {
        return fail("offset must be 6 characters long");
    }
    if !rest.starts_with(['+', '-']) {
        return fail("offset must begin with plus/minus");
    }
    if rest.as_bytes()[3] != b':' {
        return fail("missing colon in offset in correct place");
    }
    let number = |from: usize| rest.get(from..from + 2).and_then(|t| t.parse::<u32>().ok());
    match (number(1), number(4)) {
        (Some(0..=23), Some(0..=59)) => Ok(()),
        _ => fail("hour/min in offset out of range"),
    }
}

/// Units of a duration's days and of its hours.
const UNITS: [&str; 2] = ["YMD", "HMS"];

fn duration(text: &str) -> Result<(), String> {
    let Some(rest) = text.strip_prefix('P') else {
        return fail("must start with P");
    };
    if rest.is_empty() {
        return fail("nothing after P");
    }
    if let Some(weeks) = rest.strip_suffix('W') {
        let digits = !weeks.is_empty() && weeks.bytes().all(|b| b.is_ascii_digit());
        return if digits { Ok(()) } else { fail("invalid week") };
    }
    for (i, part) in rest.split('T').enumerate() {
        if i > 0 && part.is_empty() {
            return fail("no time elements");
        }
        let Some(all) = UNITS.get(i) else {
            return fail("more than one T");
        };
        let mut units = *all;
        let mut rest = part;
        while !rest.is_empty() {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            if after.len() == rest.len() {
                return fail("missing number");
            }
            let Some(unit) = after.chars().next() else {
                return fail("missing unit");
            };
            match units.split_once(unit) {
                Some((_, later)) => units = later,
                None if all.contains(unit) => return Err(format!("unit {unit:?} out of order")),
                None => return Err(format!("invalid unit {unit:?}")),
            }
            rest = after.get(unit.len_utf8()..).unwrap_or_default();
        }
    }
    Ok(())
}

fn uri(text: &str, absolute: bool) -> Result<(), String> {
    match ferrite_gotemplate::check_url(text)? {
        false if absolute => fail("relative url"),
        _ if !absolute && text.contains('\\') => fail(r"contains \"),
        _ => Ok(()),
    }
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
