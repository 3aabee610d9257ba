//! Floating point numbers as Go's `strconv` writes and reads them.

/// `FormatFloat(value, 'f', -1, 64)`: the shortest digits that read back, never an exponent.
pub(crate) fn plain(value: f64) -> String {
    special(value).map_or_else(|| format!("{value}"), str::to_owned)
}

/// As go-yaml writes a float: `FormatFloat(value, 'g', -1, 64)`.
pub(crate) fn yaml(value: f64) -> String {
    match special(value) {
        Some("+Inf") => ".inf".to_owned(),
        Some("-Inf") => "-.inf".to_owned(),
        Some(_) => ".nan".to_owned(),
        None => shortest(value, 'e'),
    }
}

/// `FormatFloat(value, 'G', -1, 64)`, with a decimal where it would read as an integer.
pub(crate) fn text(value: f64) -> String {
    if let Some(special) = special(value) {
        return special.to_owned();
    }
    let text = shortest(value, 'E');
    if text.contains(['.', 'E']) { text } else { format!("{value:.1}") }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// `%g` with the shortest digits: an exponent below -4 and from 6 on.
fn shortest(value: f64, mark: char) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let Ok(exponent) = exponent.parse::<i32>() else { return scientific };
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}{mark}{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

/// `ParseFloat(text, 64)` for what `plain` writes.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) => {
            text.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_does() {
        for (value, f, yaml_text, g) in [
            (1.0, "1", "1", "1.0"),
            (0.1, "0.1", "0.1", "0.1"),
            (1e21, "1000000000000000000000", "1e+21", "1E+21"),
            (1e20, "100000000000000000000", "1e+20", "1E+20"),
            (-2.5, "-2.5", "-2.5", "-2.5"),
            (1e-7, "0.0000001", "1e-07", "1E-07"),
            (1234.56789, "1234.56789", "1234.56789", "1234.56789"),
            (f64::INFINITY, "+Inf", ".inf", "+Inf"),
        ] {
            assert_eq!(
                (plain(value).as_str(), yaml(value).as_str(), text(value).as_str()),
                (f, yaml_text, g)
            );
        }
    }
}
