//! Globs of trimming: `*` and `?` match everything, a slash too; `[a-z]`, `[^a]`, and `\` before a character.

/// Tokens of a pattern at most; more match nothing.
const MAX_TOKENS: usize = 1024;

#[derive(Debug)]
enum Token {
    Star,
    Any,
    Literal(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Star | Self::Any => true,
            Self::Literal(literal) => *literal == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Glob(Vec<Token>);

impl Glob {
    /// `None` for a pattern that is malformed.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Literal(chars.next()?),
                '[' => class(&mut chars)?,
                c => Token::Literal(c),
            });
        }
        (tokens.len() <= MAX_TOKENS).then_some(Self(tokens))
    }

    /// Bytes of the longest or shortest prefix of `text` that the whole pattern matches and that is not empty.
    ///
    /// All positions in the pattern are followed at once, so the time is that of text × pattern.
    pub(super) fn prefix(&self, text: &str, longest: bool) -> Option<usize> {
        let mut found = None;
        let mut states = vec![false; self.0.len() + 1];
        if let Some(first) = states.first_mut() {
            *first = true;
        }
        self.skip_stars(&mut states);
        for (at, c) in text.char_indices() {
            let mut next = vec![false; states.len()];
            for ((index, token), _) in self.0.iter().enumerate().zip(&states).filter(|(_, active)| **active) {
                if token.matches(c) {
                    let target = if matches!(token, Token::Star) { index } else { index + 1 };
                    if let Some(state) = next.get_mut(target) {
                        *state = true;
                    }
                }
            }
            self.skip_stars(&mut next);
            states = next;
            if states.last() == Some(&true) {
                found = Some(at + c.len_utf8());
                if !longest {
                    break;
                }
            }
            if !states.contains(&true) {
                break;
            }
        }
        found
    }

    /// A star may match nothing.
    fn skip_stars(&self, states: &mut [bool]) {
        for (index, token) in self.0.iter().enumerate() {
            if matches!(token, Token::Star)
                && states.get(index) == Some(&true)
                && let Some(next) = states.get_mut(index + 1)
            {
                *next = true;
            }
        }
    }
}

fn class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let mut ahead = chars.clone();
    let negated = ahead.next() == Some('^');
    if negated {
        *chars = ahead;
    }
    let mut ranges = Vec::new();
    loop {
        let one = |chars: &mut std::str::Chars<'_>| match chars.next()? {
            '\\' => chars.next(),
            '-' => None,
            c => Some(c),
        };
        if chars.as_str().starts_with(']') && !ranges.is_empty() {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        if chars.as_str().starts_with(']') {
            return None;
        }
        let low = one(chars)?;
        let high = if chars.as_str().starts_with('-') {
            chars.next();
            if chars.as_str().starts_with(']') {
                return None;
            }
            one(chars)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}
