//! Flags in the style of Go's pflag.

/// Flags that take a value, with their short forms.
const VALUED: [(&str, &str); 30] = [
    ("values", "f"),
    ("set", ""),
    ("set-string", ""),
    ("set-json", ""),
    ("set-file", ""),
    ("set-literal", ""),
    ("namespace", "n"),
    ("kube-version", ""),
    ("api-versions", "a"),
    ("show-only", "s"),
    ("name-template", ""),
    ("output", "o"),
    ("labels", "l"),
    ("description", ""),
    ("timeout", ""),
    ("version", ""),
    ("repo", ""),
    ("kubeconfig", ""),
    ("kube-context", ""),
    ("output-dir", ""),
    ("post-renderer", ""),
    ("post-renderer-args", ""),
    ("username", ""),
    ("password", ""),
    ("max-col-width", ""),
    ("revision", ""),
    ("max", ""),
    ("offset", ""),
    ("filter", ""),
    ("selector", ""),
];

/// Flags that are on or off. `dry-run` may also be given a word.
const SWITCHES: [(&str, &str); 40] = [
    ("include-crds", ""),
    ("skip-crds", ""),
    ("is-upgrade", ""),
    ("skip-tests", ""),
    ("no-hooks", ""),
    ("skip-schema-validation", ""),
    ("disable-openapi-validation", ""),
    ("validate", ""),
    ("generate-name", "g"),
    ("release-name", ""),
    ("render-subchart-notes", ""),
    ("hide-secret", ""),
    ("hide-notes", ""),
    ("dry-run", ""),
    ("debug", ""),
    ("create-namespace", ""),
    ("replace", ""),
    ("wait", ""),
    ("wait-for-jobs", ""),
    ("atomic", ""),
    ("rollback-on-failure", ""),
    ("devel", ""),
    ("verify", ""),
    ("dependency-update", ""),
    ("enable-dns", ""),
    ("strict", ""),
    ("with-subcharts", ""),
    ("quiet", ""),
    ("all", ""),
    ("all-namespaces", ""),
    ("short", ""),
    ("date", ""),
    ("reverse", ""),
    ("no-headers", ""),
    ("deployed", ""),
    ("failed", ""),
    ("pending", ""),
    ("superseded", ""),
    ("uninstalled", ""),
    ("uninstalling", ""),
];

/// A parsed command line.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    values: Vec<(&'static str, String)>,
    pub(crate) arguments: Vec<String>,
}

impl Flags {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                flags.arguments.extend(rest.by_ref().cloned());
            } else if let Some(long) = arg.strip_prefix("--") {
                let (name, value) =
                    long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                if let Some((known, _)) = VALUED.iter().find(|(known, _)| *known == name) {
                    let value = match value {
                        Some(value) => value.to_owned(),
                        None => {
                            rest.next().cloned().ok_or_else(|| format!("flag needs an argument: --{name}"))?
                        }
                    };
                    flags.values.push((known, value));
                } else if let Some((known, _)) = SWITCHES.iter().find(|(known, _)| *known == name) {
                    flags.values.push((known, value.unwrap_or("true").to_owned()));
                } else {
                    return Err(format!("unknown flag: --{name}"));
                }
            } else if let Some(short) = arg.strip_prefix('-').filter(|short| !short.is_empty()) {
                flags.short(short, &mut rest)?;
            } else {
                flags.arguments.push(arg.clone());
            }
        }
        Ok(flags)
    }

    /// `-n apps`, `-napps`, `-n=apps` and joined switches.
    fn short<'a>(
        &mut self,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        let mut at = letters.chars();
        while let Some(letter) = at.next() {
            let letter = letter.to_string();
            if let Some((known, _)) = VALUED.iter().find(|(_, short)| *short == letter) {
                let joined = at.as_str();
                let joined = joined.strip_prefix('=').unwrap_or(joined);
                let value = if joined.is_empty() {
                    rest.next()
                        .cloned()
                        .ok_or_else(|| format!("flag needs an argument: '{letter}' in -{letters}"))?
                } else {
                    joined.to_owned()
                };
                self.values.push((known, value));
                return Ok(());
            }
            match SWITCHES.iter().find(|(_, short)| *short == letter) {
                Some((known, _)) => self.values.push((known, "true".into())),
                None => return Err(format!("unknown shorthand flag: '{letter}' in -{letters}")),
            }
        }
        Ok(())
    }

    /// All values of a flag.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// All values, each split at commas.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The last value of a flag.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// Whether a switch is on.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| value != "false")
    }
}

#[cfg(test)]
mod tests {
    use super::Flags;

    #[test]
    fn flags_are_read_in_every_form() {
        let args = [
            "demo",
            "./c",
            "-napps",
            "--set=a=1",
            "--set",
            "b=2",
            "--is-upgrade",
            "--skip-crds=false",
            "-f",
            "x,y",
        ];
        let flags = Flags::parse(&args.map(str::to_owned)).unwrap();
        assert_eq!(flags.arguments, ["demo", "./c"]);
        assert_eq!(flags.last("namespace"), Some("apps"));
        assert_eq!(flags.all("set").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert!(flags.is_set("is-upgrade") && !flags.is_set("skip-crds"));
        assert_eq!(flags.list("values"), ["x", "y"]);
        assert_eq!(Flags::parse(&["--nope".to_owned()]).unwrap_err(), "unknown flag: --nope");
        assert_eq!(Flags::parse(&["-n".to_owned()]).unwrap_err(), "flag needs an argument: 'n' in -n");
    }
}
