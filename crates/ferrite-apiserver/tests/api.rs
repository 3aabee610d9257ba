//! The API server as its clients meet it: HTTPS on a free port.

#[path = "api/client.rs"]
mod client;
#[path = "api/definitions.rs"]
mod definitions;
#[path = "api/lifetime.rs"]
mod lifetime;
#[path = "api/objects.rs"]
mod objects;
#[path = "api/robust.rs"]
mod robust;
#[path = "api/watches.rs"]
mod watches;
