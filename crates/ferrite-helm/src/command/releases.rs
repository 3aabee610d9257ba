//! Commands that read stored releases: `list`, `history`, `status` and `get`. Nothing here writes.

mod show;
mod table;

use regex::Regex;

use super::{Failure, Host, flags::Flags};
use crate::{Release, Status};

/// Which stored releases a command asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The release; all of them without.
    pub name: Option<String>,
    /// The namespace of the records; without, that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// Whether records of all namespaces are asked for.
    pub all_namespaces: bool,
    /// Whether only the newest revision of each release is.
    pub newest: bool,
    /// A selector of labels of records.
    pub labels: Option<String>,
    /// The kubeconfig; without, the usual one.
    pub kubeconfig: Option<String>,
    /// The context of the kubeconfig; without, the current one.
    pub context: Option<String>,
}

/// A record and the labels of the object that holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What is stored.
    pub release: Release,
    /// All labels of the object, by name.
    pub labels: Vec<(String, String)>,
}

/// The commands that are done here, with whether they were asked for.
pub(super) fn run(command: &str, args: &[String], host: &dyn Host) -> Option<Result<String, Failure>> {
    Some(match command {
        "list" | "ls" => list(args, host),
        "history" | "hist" => history(args, host),
        "status" => status(args, host),
        "get" => get(args, host),
        _ => return None,
    })
}

/// Short flags of these commands, which mean other things elsewhere.
fn parse(args: &[String], list: bool) -> Result<Flags, Failure> {
    let long = |arg: &String| match (arg.as_str(), list) {
        ("-A", _) => "--all-namespaces".to_owned(),
        ("-a", _) => "--all".to_owned(),
        ("-q", _) => "--short".to_owned(),
        ("-d", true) => "--date".to_owned(),
        ("-r", true) => "--reverse".to_owned(),
        ("-f", true) => "--filter".to_owned(),
        ("-m", true) => "--max".to_owned(),
        ("-l", _) => "--selector".to_owned(),
        _ => arg.clone(),
    };
    let args: Vec<String> = args.iter().map(long).collect();
    Ok(Flags::parse(&args)?)
}

fn query(flags: &Flags, name: Option<&str>) -> Query {
    let text = |flag: &str| flags.last(flag).map(str::to_owned);
    Query {
        name: name.map(str::to_owned),
        namespace: text("namespace"),
        all_namespaces: flags.is_set("all-namespaces"),
        newest: name.is_none(),
        labels: text("selector"),
        kubeconfig: text("kubeconfig"),
        context: text("kube-context"),
    }
}

fn one<'f>(flags: &'f Flags, command: &str) -> Result<&'f str, Failure> {
    match flags.arguments.as_slice() {
        [name] => Ok(name),
        _ => Err(format!(
            "\"helm {command}\" requires 1 argument\n\nUsage:  helm {command} RELEASE_NAME [flags]"
        )
        .into()),
    }
}

/// The revisions of a release, oldest first.
fn revisions(flags: &Flags, name: &str, host: &dyn Host) -> Result<Vec<Record>, Failure> {
    let mut all = host.records(&query(flags, Some(name)))?;
    all.sort_by_key(|record| record.release.version);
    if all.is_empty() { Err("release: not found".to_owned().into()) } else { Ok(all) }
}

/// The revision that `--revision` names, or the newest.
fn revision(flags: &Flags, name: &str, host: &dyn Host) -> Result<Record, Failure> {
    let mut all = revisions(flags, name, host)?;
    let wanted =
        match flags.last("revision").unwrap_or("0") {
            "0" => None,
            text => Some(text.parse::<i64>().map_err(|_| {
                format!("invalid argument {text:?} for \"--revision\" flag: it is not a number")
            })?),
        };
    let found = match wanted {
        None => all.pop(),
        Some(wanted) => all.into_iter().find(|record| record.release.version == wanted),
    };
    found.ok_or_else(|| "release: not found".to_owned().into())
}

fn number(flags: &Flags, name: &str, default: usize) -> Result<usize, Failure> {
    let Some(text) = flags.last(name) else { return Ok(default) };
    let number = text.parse();
    number.map_err(|_| format!("invalid argument {text:?} for \"--{name}\" flag: it is not a number").into())
}

/// Whether the flags that choose statuses choose this one; without any, all are chosen.
fn is_chosen(flags: &Flags, status: Status) -> bool {
    let choices = ["deployed", "failed", "pending", "superseded", "uninstalled", "uninstalling"];
    let asked: Vec<&str> = choices.into_iter().filter(|choice| flags.is_set(choice)).collect();
    asked.is_empty()
        || asked
            .iter()
            .any(|choice| if *choice == "pending" { status.is_pending() } else { status.as_str() == *choice })
}

fn list(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = parse(args, true)?;
    if !flags.arguments.is_empty() {
        return Err("\"helm list\" accepts no arguments\n\nUsage:  helm list [flags]".to_owned().into());
    }
    let filter = match flags.last("filter") {
        None => None,
        Some(text) => Some(Regex::new(text).map_err(|error| error.to_string())?),
    };
    let all = host.records(&query(&flags, None))?;
    let mut releases: Vec<Release> = all.into_iter().map(|record| record.release).collect();
    releases.retain(|release| {
        is_chosen(&flags, release.status)
            && filter.as_ref().is_none_or(|filter| filter.is_match(&release.name))
    });
    releases.sort_by(|a, b| (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace)));
    if flags.is_set("date") {
        releases.sort_by(|a, b| a.last_deployed.cmp(&b.last_deployed));
    }
    if flags.is_set("reverse") {
        releases.reverse();
    }
    let skip = number(&flags, "offset", 0)?;
    let most = match number(&flags, "max", 256)? {
        0 => usize::MAX,
        most => most,
    };
    let releases: Vec<Release> = releases.into_iter().skip(skip).take(most).collect();
    Ok(show::list(&releases, &flags))
}

fn history(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = parse(args, false)?;
    let name = one(&flags, "history")?;
    let all = revisions(&flags, name, host)?;
    let most = number(&flags, "max", 256)?;
    let skipped = all.len().saturating_sub(most);
    let releases: Vec<Release> = all.into_iter().skip(skipped).map(|record| record.release).collect();
    Ok(show::history(&releases, &flags))
}

fn status(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let flags = parse(args, false)?;
    let record = revision(&flags, one(&flags, "status")?, host)?;
    show::release(&record.release, &flags, false)
}

fn get(args: &[String], host: &dyn Host) -> Result<String, Failure> {
    let Some((what, rest)) = args.split_first() else {
        return Err("expected all, hooks, manifest, metadata, notes or values after get".to_owned().into());
    };
    let flags = parse(rest, false)?;
    let known = ["all", "hooks", "manifest", "metadata", "notes", "values"];
    if !known.contains(&what.as_str()) {
        let known = known.join(", ");
        return Err(format!("unknown command {what:?} for \"helm get\": expected one of {known}").into());
    }
    let record = revision(&flags, one(&flags, &format!("get {what}"))?, host)?;
    let release = &record.release;
    match what.as_str() {
        "all" => show::release(release, &flags, true),
        "hooks" => Ok(show::hooks(release)),
        "manifest" => Ok(format!("{}\n", release.manifest)),
        "metadata" => Ok(show::metadata(&record, &flags)),
        "notes" if release.notes.is_empty() => Ok(String::new()),
        "notes" => Ok(format!("NOTES:\n{}\n", release.notes)),
        _ => show::values(release, &flags),
    }
}

#[cfg(test)]
mod tests;
