//! What a bucket holds, as its revision sees it.

use std::collections::BTreeMap;

use ferrite_artifact::{Algorithm, Digest, Hasher, Rules};
use ferrite_bucket::Listed;

use super::Error;

/// Objects by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index(BTreeMap<String, Listed>);

/// Where an object goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its path in the artifact.
    pub(crate) path: String,
    /// What to download.
    pub(crate) object: Listed,
}

impl Index {
    /// The objects that become files: no placeholders of directories, no ignore rules, nothing that these exclude.
    pub(crate) fn of(listed: Vec<Listed>, rules: &Rules) -> Self {
        let wanted = listed.into_iter().filter(|object| {
            !object.key.ends_with('/')
                && object.key != Rules::FILE_NAME
                && !rules.excludes(&object.key, false)
        });
        Self(wanted.map(|object| (object.key.clone(), object)).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The digest over `<key> <entity tag>` lines, sorted by key.
    pub(crate) fn digest(&self, algorithm: Algorithm) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        for (key, object) in &self.0 {
            hasher.update(format!("{key} {}\n", object.etag).as_bytes());
        }
        hasher.finish()
    }

    /// Whether `revision` is that of this index, by whatever algorithm it was made.
    pub(crate) fn is(&self, revision: &str) -> bool {
        revision.parse::<Digest>().is_ok_and(|revision| self.digest(revision.algorithm()) == revision)
    }

    /// Notes what was downloaded: another version than listed, or nothing.
    pub(crate) fn correct(&mut self, key: &str, etag: Option<String>) {
        match etag {
            None => {
                self.0.remove(key);
            }
            Some(etag) => {
                if let Some(object) = self.0.get_mut(key) {
                    object.etag = etag;
                }
            }
        }
    }

    /// Sum of the sizes in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.values().fold(0, |sum, object| sum.saturating_add(object.size))
    }

    /// The place of every object. Empty parts of a key mean nothing; one that climbs, and two that meet, are refused.
    pub(crate) fn places(&self) -> Result<Vec<Placed>, Error> {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        let mut places = Vec::with_capacity(self.0.len());
        for (key, object) in &self.0 {
            let refuse = |problem: String| Error::Key { key: shown(key), problem };
            let path = path_of(key).map_err(|problem| refuse(problem.to_owned()))?;
            if let Some(other) = taken.insert(path.clone(), key) {
                return Err(refuse(format!("it means the same file as the key '{}'", shown(other))));
            }
            places.push(Placed { path, object: object.clone() });
        }
        // What lies below a path follows it, but not at once: `a`, `a-b`, `a/c`.
        for path in taken.keys() {
            let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            if let Some(file) = above.filter_map(|above| taken.get(above)).next() {
                let problem = format!("the key '{}' would have to be a directory for it", shown(file));
                return Err(Error::Key { key: shown(taken.get(path).unwrap_or(&"")), problem });
            }
        }
        Ok(places)
    }
}

fn path_of(key: &str) -> Result<String, &'static str> {
    if key.contains('\\') || key.chars().any(char::is_control) {
        return Err("a backslash or a control character cannot be part of a path");
    }
    let names: Vec<&str> = key.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return Err("'..' would leave the artifact");
    }
    if names.is_empty() { Err("it names no file") } else { Ok(names.join("/")) }
}

fn shown(key: &str) -> String {
    key.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(keys: &[&str]) -> Index {
        let listed = |key: &&str| {
            let mut object = Listed::named(*key);
            object.etag = format!("tag-of-{key}");
            object
        };
        Index::of(keys.iter().map(listed).collect(), &Rules::only(["*.md"]).unwrap())
    }

    #[test]
    fn the_revision_is_that_of_sorted_lines() {
        let index = index(&["b", "a", "dir/", ".sourceignore", "README.md", "sub/.sourceignore"]);
        let lines = "a tag-of-a\nb tag-of-b\nsub/.sourceignore tag-of-sub/.sourceignore\n";
        assert_eq!(index.digest(Algorithm::Sha256), Digest::of(Algorithm::Sha256, lines.as_bytes()));
        assert!(index.is(&Digest::of(Algorithm::Sha512, lines.as_bytes()).to_string()));
        assert!(!index.is(&Digest::of(Algorithm::Sha256, b"").to_string()) && !index.is("nonsense"));
    }

    #[test]
    fn what_was_really_downloaded_counts() {
        let mut index = index(&["a", "b"]);
        index.correct("a", None);
        index.correct("b", Some("newer".to_owned()));
        assert_eq!(index.digest(Algorithm::Sha256), Digest::of(Algorithm::Sha256, b"b newer\n"));
    }

    #[track_caller]
    fn check(keys: &[&str], expect: Result<&[&str], &str>) {
        let places = index(keys).places();
        let shown = places.map(|all| all.into_iter().map(|placed| placed.path).collect::<Vec<_>>());
        let expect = expect.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(shown.map_err(|error| error.to_string()), expect.map_err(str::to_owned));
    }

    #[test]
    fn keys_become_paths_inside_the_artifact_or_are_refused() {
        check(&["a//b", "/c", "./d"], Ok(&["d", "c", "a/b"]));
        check(&["a", "a-b", "b/a"], Ok(&["a", "a-b", "b/a"]));
        check(&["../x"], Err("cannot use the key '../x': '..' would leave the artifact"));
        check(&["a/../../x"], Err("cannot use the key 'a/../../x': '..' would leave the artifact"));
        check(
            &["a\\b"],
            Err("cannot use the key 'a\\b': a backslash or a control character cannot be part of a path"),
        );
        check(
            &["a\nb"],
            Err("cannot use the key 'a?b': a backslash or a control character cannot be part of a path"),
        );
        check(&["/."], Err("cannot use the key '/.': it names no file"));
        check(&["a/b", "a//b"], Err("cannot use the key 'a/b': it means the same file as the key 'a//b'"));
        check(
            &["a", "a-b", "a/c"],
            Err("cannot use the key 'a/c': the key 'a' would have to be a directory for it"),
        );
    }
}
