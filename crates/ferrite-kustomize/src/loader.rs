//! Reading files for one kustomization, within what it may read.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use ferrite_tree::{Kind, Tree, TreePath};

use crate::error::{Error, ErrorKind, Result};
use crate::origin::clean_join;
use crate::remote::{RepoSpec, is_http};
use crate::schema::{Beside, Types};
use crate::{LoadRestrictor, Options};

/// The names a kustomization file may have.
pub(crate) const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What happened before a schema of one's own was set. The reference parses the built-in schema late, which decides
/// whether that is there beside the other, and which of two definitions with one name holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum BuiltinUse {
    /// Nothing: a schema of one's own stands alone.
    #[default]
    Unused,
    /// An object of a kind whose scope is not in the table was read: the built-in schema is added later, and wins.
    Asked,
    /// A strategic merge ran: the built-in schema is there already, and loses.
    Parsed,
}

/// What all directories of one build share.
pub(crate) struct Session<'a> {
    pub(crate) options: &'a Options,
    read: RefCell<BTreeSet<TreePath>>,
    types: OnceCell<Arc<Types>>,
    builtin: Cell<BuiltinUse>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(options: &'a Options) -> Self {
        Self {
            options,
            read: RefCell::default(),
            types: OnceCell::new(),
            builtin: Cell::default(),
            warnings: RefCell::default(),
        }
    }

    /// What is known of types: the first schema that was set, else the built-in one.
    pub(crate) fn types(&self) -> Arc<Types> {
        self.types.get().cloned().unwrap_or_else(Types::builtin)
    }

    /// Sets the schema to a Swagger document's, unless one was set before.
    pub(crate) fn set_swagger(&self, swagger: &serde_json::Value) {
        self.types.get_or_init(|| {
            Arc::new(match self.builtin.get() {
                BuiltinUse::Unused => Types::from_swagger(swagger, Beside::Nothing),
                BuiltinUse::Asked => Types::from_swagger(swagger, Beside::WinningBuiltin),
                BuiltinUse::Parsed => Types::from_swagger(swagger, Beside::LosingBuiltin),
            })
        });
    }

    /// Sets the schema to the built-in one, unless one was set before.
    pub(crate) fn set_builtin(&self) {
        self.types.get_or_init(Types::builtin);
    }

    /// Notes which kinds of objects were read.
    pub(crate) fn note_types(&self, list: &[crate::resource::Resource]) {
        if self.builtin.get() == BuiltinUse::Unused && self.types.get().is_none() {
            let builtin = Types::builtin();
            let unknown =
                list.iter().any(|found| !builtin.knows_scope(&found.gvk.api_version(), &found.gvk.kind));
            if unknown {
                self.builtin.set(BuiltinUse::Asked);
            }
        }
    }

    /// Notes that objects were merged.
    pub(crate) fn note_merge(&self) {
        if self.types.get().is_none() {
            self.builtin.set(BuiltinUse::Parsed);
        }
    }

    pub(crate) fn warn(&self, message: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&message) && warnings.len() < 1000 {
            warnings.push(message);
        }
    }

    pub(crate) fn finish(self) -> (Vec<TreePath>, Vec<String>) {
        (self.read.into_inner().into_iter().collect(), self.warnings.into_inner())
    }
}

#[derive(Clone)]
enum Handle<'a> {
    Borrowed(&'a dyn Tree),
    Cloned(Arc<dyn Tree>),
}

impl Handle<'_> {
    fn tree(&self) -> &dyn Tree {
        match self {
            Self::Borrowed(tree) => *tree,
            Self::Cloned(tree) => tree.as_ref(),
        }
    }
}

/// The directory of one kustomization.
pub(crate) struct Root<'a> {
    pub(crate) session: &'a Session<'a>,
    tree: Handle<'a>,
    /// Links resolved.
    pub(crate) dir: TreePath,
    restricted: bool,
    /// The repository this is in, when it was cloned.
    repo: Option<RepoSpec>,
    /// The directories on the way here, from the first one, with their repositories.
    chain: Vec<(Option<String>, TreePath)>,
}

/// A file that was read.
pub(crate) struct File<'r> {
    pub(crate) bytes: Cow<'r, [u8]>,
    /// How to show it.
    pub(crate) shown: String,
}

/// Chains of directories longer than this are refused.
const DEEPEST: usize = 100;

impl<'a> Root<'a> {
    /// The directory `dir` of `tree`, where a build starts.
    pub(crate) fn first(session: &'a Session<'a>, tree: &'a dyn Tree, dir: &str) -> Result<Self> {
        let path = match dir.strip_prefix('/') {
            Some(_) => tree.locate(dir).map_or_else(|| TreePath::new(dir), Ok),
            None => TreePath::new(dir),
        };
        let path = path.map_err(|error| Error::from_tree(&error))?;
        let handle = Handle::Borrowed(tree);
        let dir = directory(&handle, &path, dir)?;
        let restricted = session.options.load_restrictor == LoadRestrictor::RootOnly;
        let chain = vec![(None, dir.clone())];
        Ok(Self { session, tree: handle, dir, restricted, repo: None, chain })
    }

    pub(crate) fn types(&self) -> Arc<Types> {
        self.session.types()
    }

    /// The name of a file of this directory, for messages.
    pub(crate) fn shown(&self, path: &TreePath) -> String {
        match &self.repo {
            Some(repo) => format!("{}//{path}", repo.clone),
            None => self.tree.tree().display(path),
        }
    }

    fn resolve(&self, path: &str) -> Result<TreePath> {
        if path.starts_with('/') {
            return self.tree.tree().locate(path).ok_or_else(|| {
                Error::new(
                    ErrorKind::Missing,
                    format!("'{path}' is absolute and not in the tree of this build"),
                )
            });
        }
        self.dir.join(path).map_err(|error| Error::from_tree(&error))
    }

    /// Reads a file, local or over HTTP.
    pub(crate) fn load(&self, path: &str) -> Result<File<'_>> {
        if is_http(path) {
            let Some(remote) = &self.session.options.remote else {
                return Err(Error::unsupported(format!(
                    "'{path}' is remote, and this build may not fetch remote resources"
                )));
            };
            let bytes = remote.file(path).map_err(|message| {
                Error::new(ErrorKind::Missing, format!("cannot fetch '{path}': {message}"))
            })?;
            return Ok(File { bytes: Cow::Owned(bytes), shown: path.to_owned() });
        }
        if path.is_empty() {
            return Err(Error::new(ErrorKind::Missing, "a file name is empty"));
        }
        let tree = self.tree.tree();
        let joined = self.resolve(path)?;
        let fail = |error: ferrite_tree::Error| match error {
            ferrite_tree::Error::NotFound { .. } => {
                let shown = self.shown(&joined);
                Error::new(ErrorKind::Missing, format!("no such file or directory: '{shown}'"))
            }
            ferrite_tree::Error::NotAFile { .. } => {
                let shown = self.shown(&joined);
                Error::new(ErrorKind::Directory, format!("'{shown}' must resolve to a file"))
            }
            other => Error::from_tree(&other),
        };
        if self.restricted {
            let real = tree.canonical(&joined).map_err(fail)?;
            let is_file = || tree.stat(&real).is_ok_and(|kind| kind == Some(Kind::File));
            if !real.is_within(&self.dir) && is_file() {
                return Err(Error::new(
                    ErrorKind::Forbidden,
                    format!(
                        "security; file '{}' is not in or below '{}'",
                        self.shown(&real),
                        self.shown(&self.dir)
                    ),
                ));
            }
        }
        let bytes = tree.read(&joined).map_err(fail)?;
        if self.repo.is_none() {
            self.session.read.borrow_mut().insert(joined.clone());
        }
        Ok(File { bytes, shown: self.shown(&joined) })
    }

    /// Reads a file that must be text.
    pub(crate) fn load_text(&self, path: &str) -> Result<(String, String)> {
        let file = self.load(path)?;
        let text = ferrite_yaml::decode_text(&file.bytes)
            .map_err(|error| Error::from_yaml(ErrorKind::Malformed, &file.shown, error))?;
        Ok((text.into_owned(), file.shown))
    }

    /// The kustomization file here, if there is exactly one: its name and how to show it.
    pub(crate) fn kustomization_file(&self) -> Result<(&'static str, String)> {
        let mut found = Vec::new();
        for name in FILE_NAMES {
            let path = self.dir.join(name).map_err(|error| Error::from_tree(&error))?;
            let kind = self.tree.tree().stat(&path).map_err(|error| Error::from_tree(&error))?;
            if kind == Some(Kind::File) {
                found.push((name, self.shown(&path)));
            }
        }
        let dir = self.shown(&self.dir);
        match found.len() {
            1 => found.pop().ok_or_else(|| Error::invalid("no kustomization file")),
            0 => Err(Error::new(
                ErrorKind::Missing,
                format!(
                    "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{dir}'"
                ),
            )),
            _ => Err(Error::new(
                ErrorKind::Forbidden,
                format!("Found multiple kustomization files under: {dir}; keep one"),
            )),
        }
    }

    /// The directory or repository `path`, seen from here.
    pub(crate) fn enter(&self, path: &str) -> Result<Self> {
        if path.is_empty() {
            return Err(Error::new(ErrorKind::Missing, "unable to load root from an empty path"));
        }
        if let Some(spec) = RepoSpec::parse(path) {
            return self.clone_repository(spec, path);
        }
        if path.starts_with('/') {
            return Err(Error::new(ErrorKind::Forbidden, format!("new root '{path}' cannot be absolute")));
        }
        let joined = self.resolve(path)?;
        let dir = directory(&self.tree, &joined, path)?;
        let repo = self.repo.as_ref().map(|repo| repo.clone.clone());
        let visited = self.chain.iter().find(|(from, seen)| *from == repo && seen.is_within(&dir));
        if let Some((_, seen)) = visited {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "cycle detected: candidate root '{}' contains visited root '{}'",
                    self.shown(&dir),
                    self.shown(seen)
                ),
            ));
        }
        self.below(self.tree.clone(), dir, self.restricted, self.repo.clone())
    }

    fn below(
        &self,
        tree: Handle<'a>,
        dir: TreePath,
        restricted: bool,
        repo: Option<RepoSpec>,
    ) -> Result<Self> {
        if self.chain.len() >= DEEPEST {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("kustomizations nest deeper than {DEEPEST} directories"),
            ));
        }
        let mut chain = self.chain.clone();
        chain.push((repo.as_ref().map(|repo| repo.clone.clone()), dir.clone()));
        Ok(Self { session: self.session, tree, dir, restricted, repo, chain })
    }

    fn clone_repository(&self, spec: RepoSpec, path: &str) -> Result<Self> {
        let Some(remote) = &self.session.options.remote else {
            return Err(Error::unsupported(format!(
                "'{path}' is a remote repository, and this build may not fetch remote resources"
            )));
        };
        let repeated = self
            .chain
            .iter()
            .any(|(from, dir)| from.as_deref() == Some(spec.clone.as_str()) && dir.as_str() == spec.path);
        if repeated {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("cycle detected: URI '{path}' referenced before"),
            ));
        }
        let tree = remote
            .repository(&spec)
            .map_err(|message| Error::new(ErrorKind::Missing, format!("cannot clone '{path}': {message}")))?;
        let handle = Handle::Cloned(tree);
        let wanted = TreePath::new(&spec.path).map_err(|error| Error::from_tree(&error))?;
        let dir = directory(&handle, &wanted, path)?;
        self.below(handle, dir, true, Some(spec))
    }

    /// The repository this directory was cloned from.
    pub(crate) fn repository(&self) -> Option<&RepoSpec> {
        self.repo.as_ref()
    }

    /// True when `path` names a directory of the tree.
    pub(crate) fn is_directory(&self, path: &str) -> bool {
        !is_http(path)
            && self
                .resolve(path)
                .ok()
                .and_then(|joined| self.tree.tree().stat(&joined).ok().flatten())
                .is_some_and(|kind| kind == Kind::Directory)
    }

    /// The last part of the directory's name.
    pub(crate) fn base_name(&self) -> String {
        let shown = self.shown(&self.dir);
        clean_join("", shown.rsplit('/').next().unwrap_or_default())
    }
}

/// `path` as a directory with links resolved.
fn directory(handle: &Handle<'_>, path: &TreePath, given: &str) -> Result<TreePath> {
    let tree = handle.tree();
    let found = tree.canonical(path).and_then(|real| Ok((tree.stat(&real)?, real)));
    match found {
        Ok((Some(Kind::Directory), real)) => Ok(real),
        Ok((Some(Kind::File), _)) => Err(Error::new(
            ErrorKind::Missing,
            format!("got file '{given}', but '{}' must be a directory to be a root", tree.display(path)),
        )),
        Ok((None, _)) | Err(ferrite_tree::Error::NotFound { .. }) => Err(Error::new(
            ErrorKind::Missing,
            format!("must build at directory: '{}' does not exist", tree.display(path)),
        )),
        Err(error) => Err(Error::from_tree(&error)),
    }
}
