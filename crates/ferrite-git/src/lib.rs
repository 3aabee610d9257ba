//! ferrite-git.
