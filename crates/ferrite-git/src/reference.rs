//! Which commit is meant, and how it is written down.

use std::fmt;

use ferrite_semver::{Constraint, Version};
use gix::ObjectId;

use crate::Error;

/// What to follow. When several are set the first of commit, name, tag, semver, branch counts, as in Flux.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    /// A branch name; with nothing set it is `master`.
    pub branch: Option<String>,
    /// A tag name.
    pub tag: Option<String>,
    /// A version range over tags.
    pub semver: Option<String>,
    /// A full ref name such as `refs/pull/1/head`, optionally with `^{}`.
    pub name: Option<String>,
    /// A full commit id.
    pub commit: Option<String>,
}

impl Reference {
    /// Follows a branch.
    pub fn branch(name: impl Into<String>) -> Self {
        Self { branch: Some(name.into()), ..Self::default() }
    }

    /// Stays on a tag.
    pub fn tag(name: impl Into<String>) -> Self {
        Self { tag: Some(name.into()), ..Self::default() }
    }

    /// Follows the highest tag in a range.
    pub fn semver(range: impl Into<String>) -> Self {
        Self { semver: Some(range.into()), ..Self::default() }
    }

    /// Follows any ref.
    pub fn name(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// Stays on a commit.
    pub fn commit(id: impl Into<String>) -> Self {
        Self { commit: Some(id.into()), ..Self::default() }
    }

    pub(crate) fn kind(&self) -> Wanted<'_> {
        let set = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
        match self {
            Self { commit: Some(id), branch, .. } if set(&self.commit) => {
                Wanted::Commit { id, branch: branch.as_deref().filter(|b| !b.is_empty()) }
            }
            Self { name: Some(name), .. } if set(&self.name) => Wanted::Name(name),
            Self { tag: Some(tag), .. } if set(&self.tag) => Wanted::Tag(tag),
            Self { semver: Some(range), .. } if set(&self.semver) => Wanted::Semver(range),
            Self { branch: Some(branch), .. } if set(&self.branch) => Wanted::Branch(branch),
            _ => Wanted::Branch("master"),
        }
    }
}

/// The one part of a [`Reference`] that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    Commit { id: &'a str, branch: Option<&'a str> },
    Name(&'a str),
    Tag(&'a str),
    Semver(&'a str),
    Branch(&'a str),
}

impl Wanted<'_> {
    /// The `ref-prefix` that covers everything needed to decide.
    pub(crate) fn prefix(&self) -> String {
        match self {
            Self::Commit { .. } => "HEAD".to_owned(),
            Self::Name(name) => name.trim_end_matches("^{}").to_owned(),
            Self::Tag(tag) => format!("refs/tags/{tag}"),
            Self::Semver(_) => "refs/tags/".to_owned(),
            Self::Branch(branch) => format!("refs/heads/{branch}"),
        }
    }

    /// Refuses names that no ref can have, before anything is sent.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (kind, name) = match self {
            Self::Commit { id, branch } => {
                parse_id(id)?;
                match branch {
                    Some(branch) => ("branch", *branch),
                    None => return Ok(()),
                }
            }
            Self::Semver(range) => {
                parse_range(range)?;
                return Ok(());
            }
            Self::Name(name) => ("reference name", *name),
            Self::Tag(tag) => ("tag", *tag),
            Self::Branch(branch) => ("branch", *branch),
        };
        let full = if matches!(self, Self::Name(_)) { self.prefix() } else { format!("refs/heads/{name}") };
        gix::validate::reference::name(full.as_bytes().into()).map_err(|_| Error::InvalidReference {
            kind,
            name: name.chars().take(256).collect(),
            problem: "expected a name that Git allows for a ref".to_owned(),
        })?;
        Ok(())
    }
}

/// One ref of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// The full name, such as `refs/heads/main` or `HEAD`.
    pub name: String,
    /// The object it points to; a tag object for an annotated tag.
    pub target: ObjectId,
    /// For an annotated tag, the object that the tag points to.
    pub peeled: Option<ObjectId>,
}

impl Ref {
    /// The commit behind the ref.
    #[must_use]
    pub fn commit(&self) -> ObjectId {
        self.peeled.unwrap_or(self.target)
    }
}

/// A resolved reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The part of the revision before `@`: a branch, a tag, or a full ref name; `None` for a bare commit.
    pub name: Option<String>,
    /// The full name of the ref it was read from, where there was one.
    pub reference: Option<String>,
    /// The commit.
    pub commit: ObjectId,
    /// The annotated tag that led to the commit.
    pub tag: Option<ObjectId>,
}

impl Head {
    /// Flux's revision string: `main@sha1:<id>`, `v1.2.3@sha1:<id>`, `refs/pull/1/head@sha1:<id>` or `sha1:<id>`.
    #[must_use]
    pub fn revision(&self) -> String {
        self.to_string()
    }

    fn of(name: &str, found: &Ref) -> Self {
        Self {
            name: Some(name.to_owned()),
            reference: Some(found.name.clone()),
            commit: found.commit(),
            tag: found.peeled.map(|_| found.target),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = match self.commit.kind() {
            gix::hash::Kind::Sha256 => "sha256",
            _ => "sha1",
        };
        if let Some(name) = &self.name {
            write!(f, "{name}@")?;
        }
        write!(f, "{algorithm}:{}", self.commit)
    }
}

/// The candidates for a reference among the refs of a repository: usually one; several where versions are equal
/// (`v1.0.0` and `1.0.0`), of which the newest commit is meant; none when nothing fits.
pub(crate) fn choose(wanted: Wanted<'_>, refs: &[Ref]) -> Result<Vec<Head>, Error> {
    let find = |full: &str| refs.iter().find(|r| r.name == full);
    let one = |name: &str, full: &str| -> Vec<Head> {
        find(full).map(|found| Head::of(name, found)).into_iter().collect()
    };
    Ok(match wanted {
        Wanted::Commit { id, branch } => vec![Head {
            name: branch.map(str::to_owned),
            reference: branch.map(|b| format!("refs/heads/{b}")),
            commit: parse_id(id)?,
            tag: None,
        }],
        // With the suffix the commit is meant, and not the tag that leads to it.
        Wanted::Name(name) => match name.strip_suffix("^{}") {
            Some(full) => one(name, full).into_iter().map(|head: Head| Head { tag: None, ..head }).collect(),
            None => one(name, name),
        },
        Wanted::Tag(tag) => one(tag, &format!("refs/tags/{tag}")),
        Wanted::Branch(branch) => one(branch, &format!("refs/heads/{branch}")),
        Wanted::Semver(range) => {
            let range = parse_range(range)?;
            let mut best: Vec<(Version, Head)> = Vec::new();
            for found in refs {
                let Some(tag) = found.name.strip_prefix("refs/tags/") else { continue };
                let Ok(version) = Version::parse_full(tag) else { continue };
                if !range.matches(&version) {
                    continue;
                }
                let order = best.first().map_or(std::cmp::Ordering::Greater, |(top, _)| version.cmp(top));
                if order.is_gt() {
                    best.clear();
                }
                if order.is_ge() {
                    best.push((version, Head::of(tag, found)));
                }
            }
            best.into_iter().map(|(_, head)| head).collect()
        }
    })
}

fn parse_range(range: &str) -> Result<Constraint, Error> {
    Constraint::parse(range).map_err(|e| Error::InvalidReference {
        kind: "semver",
        name: range.chars().take(256).collect(),
        problem: e.to_string(),
    })
}

fn parse_id(id: &str) -> Result<ObjectId, Error> {
    ObjectId::from_hex(id.as_bytes()).map_err(|_| Error::InvalidReference {
        kind: "commit",
        name: id.chars().take(256).collect(),
        problem: "expected the full id, 40 hexadecimal digits (64 in a SHA-256 repository)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccccccccccccccccccccccccccc";

    #[track_caller]
    fn check(reference: &Reference, expect: &[&str]) {
        let id = |hex: &str| ObjectId::from_hex(hex.as_bytes()).unwrap();
        let plain = |name: &str, hex: &str| Ref { name: name.to_owned(), target: id(hex), peeled: None };
        let refs = [
            plain("HEAD", A),
            plain("refs/heads/main", A),
            plain("refs/heads/master", C),
            plain("refs/heads/main-2", B),
            plain("refs/pull/1/head", B),
            plain("refs/tags/latest", B),
            plain("refs/tags/v1.0.0", A),
            plain("refs/tags/1.2", A),
            Ref { name: "refs/tags/v1.1.0".to_owned(), target: id(C), peeled: Some(id(B)) },
            plain("refs/tags/1.1.0", A),
            plain("refs/tags/v2.0.0-rc.1", C),
        ];
        let heads = choose(reference.kind(), &refs).unwrap();
        assert_eq!(heads.iter().map(Head::revision).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn revisions_are_written_as_flux_writes_them() {
        check(&Reference::branch("main"), &[&format!("main@sha1:{A}")]);
        check(&Reference::default(), &[&format!("master@sha1:{C}")]);
        check(&Reference::tag("v1.1.0"), &[&format!("v1.1.0@sha1:{B}")]);
        check(&Reference::name("refs/pull/1/head"), &[&format!("refs/pull/1/head@sha1:{B}")]);
        check(&Reference::name("refs/tags/v1.1.0^{}"), &[&format!("refs/tags/v1.1.0^{{}}@sha1:{B}")]);
        check(&Reference::commit(B), &[&format!("sha1:{B}")]);
        let both = Reference { branch: Some("main".into()), ..Reference::commit(B) };
        check(&both, &[&format!("main@sha1:{B}")]);
        check(&Reference::branch("nope"), &[]);
        check(&Reference::name("heads/main"), &[]);
    }

    #[test]
    fn the_highest_full_version_wins_and_equal_versions_are_left_to_their_dates() {
        check(&Reference::semver("1.0.x"), &[&format!("v1.0.0@sha1:{A}")]);
        check(&Reference::semver("*"), &[&format!("v1.1.0@sha1:{B}"), &format!("1.1.0@sha1:{A}")]);
        check(&Reference::semver(">=2.0.0-0"), &[&format!("v2.0.0-rc.1@sha1:{C}")]);
        check(&Reference::semver("^3"), &[]);
    }

    #[test]
    fn commit_beats_name_beats_tag_beats_semver_beats_branch() {
        let mut all = Reference {
            branch: Some("main".into()),
            tag: Some("latest".into()),
            semver: Some("1.0.x".into()),
            name: Some("refs/pull/1/head".into()),
            commit: Some(C.into()),
        };
        check(&all, &[&format!("main@sha1:{C}")]);
        all.commit = None;
        check(&all, &[&format!("refs/pull/1/head@sha1:{B}")]);
        all.name = Some(String::new());
        check(&all, &[&format!("latest@sha1:{B}")]);
        all.tag = None;
        check(&all, &[&format!("v1.0.0@sha1:{A}")]);
    }

    #[test]
    fn impossible_names_are_refused_before_anything_is_sent() {
        for reference in [
            Reference::branch("../../x"),
            Reference::branch("a b"),
            Reference::branch("x\ny"),
            Reference::branch("@{"),
            Reference::tag("a..b"),
            Reference::name("refs/heads/x.lock"),
            Reference::commit("abc"),
            Reference::semver("latest"),
        ] {
            assert!(reference.kind().check().is_err(), "{reference:?} must be refused");
        }
        assert!(Reference::name("refs/tags/v1^{}").kind().check().is_ok());
    }
}
