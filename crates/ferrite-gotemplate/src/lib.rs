//! ferrite-gotemplate.
