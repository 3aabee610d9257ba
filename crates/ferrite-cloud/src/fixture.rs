//! Clouds under test: one server that plays all services, and a clock that stands.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use ferrite_testkit::{Delivery, ScriptedServer};
use futures::future::BoxFuture;
use http::Response;

use crate::{CacheLimits, Caller, Cloud, Environment, Identity, Minter, Redacted, Service, ServiceAccount};

/// A secret that must not be shown.
pub(crate) const CANARY: &str = "canary-7f3a";

pub(crate) struct Fixture {
    pub(crate) server: ScriptedServer,
    pub(crate) cloud: Cloud,
    seconds: Arc<AtomicI64>,
}

const SERVICES: &[Service] = &[
    Service::AwsSts,
    Service::AwsEcr,
    Service::AwsEcrPublic,
    Service::AwsEks,
    Service::AwsMetadata,
    Service::GcpMetadata,
    Service::GcpSts,
    Service::GcpIamCredentials,
    Service::GcpContainer,
    Service::GcpOauth,
    Service::AzureAuthority,
    Service::AzureMetadata,
    Service::AzureManagement,
    Service::AzureRegistry,
];

impl Fixture {
    pub(crate) async fn new(
        variables: &[(&str, &str)],
        script: impl Fn(&Delivery) -> Response<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let server = ScriptedServer::start(script).await.unwrap();
        let address = server.url();
        let own = |value: &str| value.replace("SERVER", &address);
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), own(value))).collect();
        let mut environment = Environment::new(variables);
        for service in SERVICES {
            environment = environment.with_endpoint(*service, address.parse().unwrap());
        }
        let seconds = Arc::new(AtomicI64::new(1_767_323_045)); // 2026-01-02T03:04:05Z
        let clock = Arc::clone(&seconds);
        let now = move || jiff::Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap();
        let cloud = Cloud::with_clock(environment, CacheLimits::default(), Arc::new(now));
        Self { server, cloud, seconds }
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The fields of the form in the request `index`.
    pub(crate) fn form(&self, index: usize) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.server.received()[index].body).into_owned().collect()
    }
}

/// Counts its tokens, and names the audience in them.
#[derive(Default)]
pub(crate) struct Counted(pub(crate) AtomicU32);

impl Minter for Counted {
    fn mint<'a>(&'a self, audience: &'a str) -> BoxFuture<'a, Result<Redacted<String>, String>> {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(format!("{CANARY} {count} for {audience}").into()) })
    }
}

pub(crate) fn account(annotations: &[(&str, &str)]) -> (Caller, Arc<Counted>) {
    let minter = Arc::new(Counted::default());
    let account = ServiceAccount {
        namespace: "apps".to_owned(),
        name: "puller".to_owned(),
        annotations: annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        minter: Arc::clone(&minter) as Arc<dyn Minter>,
    };
    (Identity::ServiceAccount(account).into(), minter)
}

/// `error` and all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
