//! ferrite-tree.
