//! ferrite-yaml.
