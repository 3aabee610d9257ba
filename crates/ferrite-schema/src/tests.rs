mod builtin;
mod custom;
mod definitions;
