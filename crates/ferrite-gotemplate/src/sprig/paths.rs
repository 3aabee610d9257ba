//! Slash-separated paths, as Go's `path` package has them.

use super::utf8;
use crate::func::{Functions, Ty};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("base", &[Ty::Str], None, |a| Ok(base(&utf8(a, 0)).into())),
        ("osBase", &[Ty::Str], None, |a| Ok(base(&utf8(a, 0)).into())),
        ("dir", &[Ty::Str], None, |a| Ok(dir(&utf8(a, 0)).into())),
        ("osDir", &[Ty::Str], None, |a| Ok(dir(&utf8(a, 0)).into())),
        ("clean", &[Ty::Str], None, |a| Ok(clean(&utf8(a, 0)).into())),
        ("osClean", &[Ty::Str], None, |a| Ok(clean(&utf8(a, 0)).into())),
        ("ext", &[Ty::Str], None, |a| Ok(ext(&utf8(a, 0)).into())),
        ("osExt", &[Ty::Str], None, |a| Ok(ext(&utf8(a, 0)).into())),
        ("isAbs", &[Ty::Str], None, |a| Ok(utf8(a, 0).starts_with('/').into())),
        ("osIsAbs", &[Ty::Str], None, |a| Ok(utf8(a, 0).starts_with('/').into())),
    ]);
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

fn dir(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((head, _)) => clean(&format!("{head}/")),
        None => ".".into(),
    }
}

fn ext(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, ext)| format!(".{ext}")).unwrap_or_default()
}
