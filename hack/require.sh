#!/bin/sh
# Says what is missing before a long build starts.
missing=
command -v cargo >/dev/null || missing="$missing rust(https://rustup.rs)"
command -v cc >/dev/null || missing="$missing build-essential"
if [ -n "$missing" ]; then
  echo "missing:$missing" >&2
  echo "on Debian: apt-get install build-essential; Rust: see rust-version in Cargo.toml" >&2
  exit 1
fi
