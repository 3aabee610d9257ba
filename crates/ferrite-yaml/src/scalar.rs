//! What styles a scalar may take, as go-yaml's emitter (libyaml's `analyze_scalar`) decides.

/// The styles a text allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Analysis {
    pub(crate) plain: bool,
    pub(crate) flow_plain: bool,
    pub(crate) single: bool,
    pub(crate) block: bool,
    pub(crate) multiline: bool,
}

pub(crate) const fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Printable as go-yaml v2 has it: no tab, nothing beyond the basic plane.
pub(crate) const fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FEFE}' | '\u{FF00}'..='\u{FFFD}')
}

#[derive(Default)]
struct Seen {
    flow: bool,
    block: bool,
    special: bool,
    breaks: bool,
    edge_blank: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

pub(crate) fn analyze(text: &str, tabs_printable: bool) -> Analysis {
    if text.is_empty() {
        return Analysis { plain: true, flow_plain: false, single: true, block: false, multiline: false };
    }
    let marker = text.starts_with("---") || text.starts_with("...");
    let mut seen = Seen { flow: marker, block: marker, ..Seen::default() };
    let (mut preceded_by_blank, mut previous_space, mut previous_break) = (true, false, false);
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let followed_by_blank = next.is_none_or(|n| matches!(n, ' ' | '\t') || is_break(n));
        indicators(&mut seen, c, first, preceded_by_blank, followed_by_blank);
        if !(is_printable(c) || tabs_printable && c == '\t') {
            seen.special = true;
        }
        let last = next.is_none();
        if c == ' ' {
            seen.edge_blank |= first || last;
            seen.trailing_space |= last;
            seen.break_space |= previous_break;
        } else if is_break(c) {
            seen.breaks = true;
            seen.edge_blank |= first || last;
            seen.space_break |= previous_space;
        }
        (previous_space, previous_break) = (c == ' ', is_break(c));
        preceded_by_blank = matches!(c, ' ' | '\t') || is_break(c);
        first = false;
    }
    let quotable = !seen.space_break && !seen.special;
    let plain = quotable && !seen.edge_blank && !seen.break_space && !seen.breaks;
    Analysis {
        plain: plain && !seen.block,
        flow_plain: plain && !seen.flow,
        single: quotable && !seen.break_space,
        block: quotable && !seen.trailing_space,
        multiline: seen.breaks,
    }
}

fn indicators(seen: &mut Seen, c: char, first: bool, preceded_by_blank: bool, followed_by_blank: bool) {
    match (c, first) {
        (
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`',
            true,
        ) => {
            seen.flow = true;
            seen.block = true;
        }
        ('?' | ':', true) | (':', false) => {
            seen.flow = true;
            seen.block |= followed_by_blank;
        }
        ('-', true) if followed_by_blank => {
            seen.flow = true;
            seen.block = true;
        }
        (',' | '?' | '[' | ']' | '{' | '}', false) => seen.flow = true,
        ('#', false) if preceded_by_blank => {
            seen.flow = true;
            seen.block = true;
        }
        _ => {}
    }
}
