//! What every request can reach.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::crd::Compiled;
use crate::faults::Faults;
use crate::keys::Keys;
use crate::kinds::addresses::Allocations;
use crate::rbac::Rbac;
use crate::resources::Registry;
use crate::store::Store;
use crate::tls::Identity;

/// One running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Registry,
    pub(crate) rbac: Rbac,
    pub(crate) keys: Keys,
    pub(crate) faults: Arc<Faults>,
    pub(crate) crds: Mutex<Compiled>,
    pub(crate) allocations: Mutex<Allocations>,
    /// Held while a quota is checked and the object written, so that two writers cannot both take the last place.
    pub(crate) quota: Mutex<()>,
    /// `https://127.0.0.1:<port>`
    pub(crate) url: String,
    /// `127.0.0.1:<port>`
    pub(crate) address: String,
    /// The CA certificate, PEM.
    pub(crate) ca: String,
}

impl Server {
    pub(crate) fn new(
        store: Arc<Store>,
        faults: Arc<Faults>,
        identity: &Identity,
        keys: Keys,
        addr: SocketAddr,
        rbac: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            registry: Registry::new(),
            rbac: Rbac::new(rbac),
            keys,
            faults,
            crds: Mutex::default(),
            allocations: Mutex::default(),
            quota: Mutex::default(),
            url: format!("https://{addr}"),
            address: addr.to_string(),
            ca: identity.ca_pem(),
        })
    }
}
