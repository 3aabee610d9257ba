//! What go-yaml says of a text that it refuses: its scanner is libyaml's, and people search the web for its words.

use libyaml_safer::{ErrorKind, EventData, Parser};

/// The error of `gopkg.in/yaml.v2` and `v3` for the first document of `text`, with `yaml: ` in front; `None` when its
/// syntax is good. Reads events only, so that time and memory are linear in the text.
#[must_use]
pub fn go_syntax_error(text: &str) -> Option<String> {
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    loop {
        match parser.parse() {
            Err(error) => return Some(message(&error, text)),
            Ok(event) if matches!(event.data, EventData::StreamEnd | EventData::DocumentEnd { .. }) => {
                return None;
            }
            Ok(_) => {}
        }
    }
}

/// go-yaml counts lines from nought and prints no nought; the scanner's marks are one behind.
fn message(error: &libyaml_safer::Error, text: &str) -> String {
    let line = |mark: Option<libyaml_safer::Mark>| mark.map_or(0, |mark| mark.line);
    let (context, problem) = (line(error.context_mark()), line(error.problem_mark()));
    let scanner = error.kind() == ErrorKind::Scanner;
    // A bracket where a key should be: go-yaml forgets that it might have been one, and leaves it to the parser.
    let bracket = scanner
        && error.problem() == "could not find expected ':'"
        && error.context_mark().is_some_and(|mark| {
            let at = usize::try_from(mark.column).unwrap_or(usize::MAX);
            let line = usize::try_from(mark.line).ok().and_then(|line| text.lines().nth(line));
            line.and_then(|line| line.chars().nth(at)).is_some_and(|c| matches!(c, '{' | '['))
        });
    let (at, problem) = if bracket {
        (context, "did not find expected key")
    } else {
        let at = if problem != 0 { problem } else { context };
        (at + u64::from(at != 0 && scanner), error.problem())
    };
    let place = if at == 0 { String::new() } else { format!("line {at}: ") };
    format!("yaml: {place}{problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_go_yaml() {
        for (text, want) in [
            ("a: 1\nb: [x]\n", None),
            ("kind: [", Some("yaml: line 1: did not find expected node content")),
            ("a: b: c", Some("yaml: mapping values are not allowed in this context")),
            ("a:\n  - b\n c: d\n", Some("yaml: line 2: did not find expected key")),
            ("a: 'b\n", Some("yaml: line 2: found unexpected end of stream")),
        ] {
            assert_eq!(go_syntax_error(text).as_deref(), want, "{text:?}");
        }
    }
}
