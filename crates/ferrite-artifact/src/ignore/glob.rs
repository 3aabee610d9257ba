//! Globs of one path component, as Go's `path.Match`.

/// Whether `pattern` matches all of `name`; `None` when the pattern is malformed.
///
/// `*` any characters, `?` one character, `[a-z]` and `[^a-z]` a class, `\` takes the next character as it is.
/// Runs in time proportional to the product of the lengths at worst.
pub(super) fn matches(pattern: &str, name: &str) -> Option<bool> {
    let tokens = parse(pattern)?;
    let name: Vec<char> = name.chars().collect();
    let (mut at_token, mut at_char) = (0, 0);
    // Where the last star was, and how much of the name it has taken: only the last star ever has to give more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(at_token), name.get(at_char)) {
            (None, None) => return Some(true),
            (Some(Token::Star), _) => {
                star = Some((at_token + 1, at_char));
                at_token += 1;
            }
            (Some(token), Some(letter)) if token.takes(*letter) => {
                at_token += 1;
                at_char += 1;
            }
            _ => match star {
                Some((after, taken)) if taken < name.len() => {
                    star = Some((after, taken + 1));
                    (at_token, at_char) = (after, taken + 1);
                }
                _ => return Some(false),
            },
        }
    }
}

#[derive(Debug)]
enum Token {
    Star,
    Any,
    Letter(char),
    Class { ranges: Vec<(char, char)>, negated: bool },
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Letter(own) => *own == letter,
            Self::Class { ranges, negated } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated
            }
        }
    }
}

fn parse(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        tokens.push(match letter {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Letter(letters.next()?),
            '[' => {
                let negated = letters.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || letters.next_if_eq(&']').is_none() {
                    let low = class_letter(&mut letters)?;
                    let high = match letters.next_if_eq(&'-') {
                        Some(_) => class_letter(&mut letters)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                Token::Class { ranges, negated }
            }
            other => Token::Letter(other),
        });
    }
    Some(tokens)
}

fn class_letter(letters: &mut impl Iterator<Item = char>) -> Option<char> {
    match letters.next()? {
        '-' | ']' => None,
        '\\' => letters.next(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[track_caller]
    fn check(pattern: &str, name: &str, expect: Option<bool>) {
        assert_eq!(matches(pattern, name), expect, "{pattern} on {name}");
    }

    /// Facts of Go's `path/match_test.go`.
    #[test]
    fn globs_are_gos() {
        check("abc", "abc", Some(true));
        check("*c", "abc", Some(true));
        check("a*", "a", Some(true));
        check("a*b*c*d*e*", "axbxcxdxe", Some(true));
        check("a*b?c*x", "abxbbxdbxebxczzx", Some(true));
        check("a*b?c*x", "abxbbxdbxebxczzy", Some(false));
        check("ab[c]", "abc", Some(true));
        check("ab[b-d]", "abc", Some(true));
        check("ab[^e-g]", "abc", Some(true));
        check("a\\*b", "a*b", Some(true));
        check("a?b", "a☺b", Some(true));
        check("[]a]", "]", None);
        check("[x-]", "x", None);
        check("[", "a", None);
        check("a\\", "a", None);
        check("", "", Some(true));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = format!("{}b", "a*".repeat(200));
        check(&pattern, &"a".repeat(4000), Some(false));
    }
}
