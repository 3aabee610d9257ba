//! Verbs that take a kind: `get kustomizations`, `suspend source git`, one subcommand for each kind of the table.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand, error::ErrorKind};

use crate::kinds::{ALL, Kind};

/// A verb that is said of kinds.
pub(crate) trait Verb: Args {
    /// Whether the words are plural, as in `get kustomizations`; the other number is understood too.
    const PLURAL: bool = false;
    /// Whether `all` stands for every kind, and for every kind of a family.
    const ALL: bool = false;
    /// What it does, for the help: `Suspend`.
    const DOES: &'static str;
    /// Whether it can be said of this kind.
    fn takes(kind: &Kind) -> bool;
}

/// A verb with the kinds it is said of.
#[derive(Debug, Clone)]
pub(crate) struct OfKind<V> {
    /// One kind, or several for `all`.
    pub(crate) kinds: Vec<&'static Kind>,
    /// Whether `all` was said.
    pub(crate) all: bool,
    pub(crate) options: V,
}

type Family = (&'static str, &'static str);

fn families<V: Verb>() -> Vec<Option<Family>> {
    let mut all = Vec::new();
    for kind in kinds::<V>() {
        if !all.contains(&kind.family) {
            all.push(kind.family);
        }
    }
    all
}

fn kinds<V: Verb>() -> impl Iterator<Item = &'static Kind> {
    ALL.iter().copied().filter(|kind| V::takes(kind))
}

/// The word that is shown and the one that is understood too.
fn words<V: Verb>(words: Family) -> Family {
    if V::PLURAL { (words.1, words.0) } else { words }
}

fn leaf<V: Verb>(kind: &Kind) -> Command {
    let (shown, other) = words::<V>(kind.words);
    // What it does is said last: the options bring a sentence of their own.
    let about = format!("{} {} objects", V::DOES, kind.kind);
    let mut command = V::augment_args(Command::new(shown)).about(about).long_about(None);
    if other != shown {
        command = command.alias(other);
    }
    if let Some(short) = kind.short {
        command = command.visible_alias(short);
    }
    command
}

fn all<V: Verb>(of: &str) -> Command {
    V::augment_args(Command::new("all")).about(format!("{} all {of}", V::DOES)).long_about(None)
}

impl<V: Verb> Subcommand for OfKind<V> {
    fn augment_subcommands(mut command: Command) -> Command {
        command = command.subcommand_required(true).arg_required_else_help(true);
        if V::ALL {
            command = command.subcommand(all::<V>("kinds"));
        }
        for family in families::<V>() {
            let members = kinds::<V>().filter(|kind| kind.family == family);
            let Some(family) = family else {
                command = command.subcommands(members.map(leaf::<V>));
                continue;
            };
            let (shown, other) = words::<V>(family);
            let mut parent = Command::new(shown)
                .alias(other)
                .about(format!("{} {} objects", V::DOES, family.0))
                .subcommand_required(true)
                .arg_required_else_help(true);
            if V::ALL && family.0 != "artifact" {
                parent = parent.subcommand(all::<V>(family.1));
            }
            command = command.subcommand(parent.subcommands(members.map(leaf::<V>)));
        }
        command
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        kinds::<V>().any(|kind| words::<V>(kind.family.unwrap_or(kind.words)).0 == name)
    }
}

impl<V: Verb> FromArgMatches for OfKind<V> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let missing = || Error::raw(ErrorKind::MissingSubcommand, "name a kind");
        let (first, matches) = matches.subcommand().ok_or_else(missing)?;
        if first == "all" {
            let options = V::from_arg_matches(matches)?;
            return Ok(Self { kinds: kinds::<V>().collect(), all: true, options });
        }
        let of_family =
            |kind: &&'static Kind| kind.family.is_some_and(|family| words::<V>(family).0 == first);
        let (word, matches) = match kinds::<V>().find(of_family) {
            Some(_) => matches.subcommand().ok_or_else(missing)?,
            None => (first, matches),
        };
        let family: Vec<_> = kinds::<V>().filter(of_family).collect();
        let chosen: Vec<_> = if family.is_empty() {
            kinds::<V>().filter(|kind| kind.family.is_none() && words::<V>(kind.words).0 == word).collect()
        } else {
            family.into_iter().filter(|kind| word == "all" || words::<V>(kind.words).0 == word).collect()
        };
        if chosen.is_empty() {
            return Err(missing());
        }
        Ok(Self { kinds: chosen, all: word == "all", options: V::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
