//! A Git repository of one test.

use ferrite_testkit::TestRepository;

/// A repository that the test's Git server serves; every change is a commit on `main`.
#[derive(Debug)]
pub struct Repository(pub(crate) TestRepository);

impl Repository {
    /// Where it is served.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// The newest commit of `main`.
    ///
    /// # Panics
    ///
    /// When the repository is empty.
    #[must_use]
    pub fn head(&self) -> String {
        self.0.head().expect("a repository with a commit")
    }

    /// Commits files and returns the commit.
    ///
    /// # Panics
    ///
    /// When the disk refuses.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        self.0.commit("change", files).expect("a commit")
    }

    /// Commits the removal of files and returns the commit.
    ///
    /// # Panics
    ///
    /// When the disk refuses.
    pub fn remove(&self, paths: &[&str]) -> String {
        self.0.remove("remove", paths).expect("a commit")
    }

    /// Tags the newest commit.
    ///
    /// # Panics
    ///
    /// When the name is none for a tag.
    pub fn tag(&self, name: &str) {
        self.0.tag(name).expect("a tag");
    }
}
