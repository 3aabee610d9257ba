//! Leader election over a Lease, by client-go's rules, so that Flux's controllers and these exclude each other.
//!
//! Time is measured here from when a change of the lease was *seen*; clocks of replicas need not agree.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{classify::chain, clock::Clock};

/// Which lease, and how long things take.
#[derive(Debug, Clone)]
pub struct Election {
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub name: String,
    /// Who we are; must differ between replicas.
    pub identity: String,
    /// How long others wait before they take a lease that is not renewed.
    pub lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry_period: Duration,
    /// Give the lease up at the end.
    pub release_on_cancel: bool,
}

/// Being the leader. Dropping it without [`Leadership::release`] leaves the lease to expire.
#[derive(Debug)]
pub struct Leadership {
    election: Election,
    api: Api<Lease>,
    clock: Clock,
    lost: CancellationToken,
    renewing: tokio::task::JoinHandle<()>,
}

/// The lease as seen last, and when its renewal was first seen.
#[derive(Debug, Default)]
struct Seen {
    spec: Option<LeaseSpec>,
    at: Option<Instant>,
}

impl Election {
    /// Waits until this process leads; `None` when `shutdown` comes first.
    pub async fn lead(
        self,
        client: Client,
        clock: Clock,
        shutdown: &CancellationToken,
    ) -> Option<Leadership> {
        let api: Api<Lease> = Api::namespaced(client, &self.namespace);
        let mut seen = Seen::default();
        tracing::info!(lease = %self.name, "attempting to acquire leader lease");
        loop {
            match self.attempt(&api, &clock, &mut seen).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = %chain(&error), lease = %self.name, "cannot read or write the lease")
                }
            }
            let delay = self.retry_period.mul_f64(rand::random_range(1.0..2.2));
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(delay) => {}
            }
        }
        tracing::info!(lease = %self.name, "successfully acquired lease");
        let lost = CancellationToken::new();
        let renewing = tokio::spawn(self.clone().renew(api.clone(), clock.clone(), seen, lost.clone()));
        Some(Leadership { election: self, api, clock, lost, renewing })
    }

    async fn renew(self, api: Api<Lease>, clock: Clock, mut seen: Seen, lost: CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.retry_period).await;
            let left = (renewed + self.renew_deadline).saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.attempt(&api, &clock, &mut seen)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => break,
                Ok(Err(error)) => tracing::warn!(error = %chain(&error), "cannot renew the lease"),
                Err(_elapsed) => break,
            }
            if renewed.elapsed() >= self.renew_deadline {
                break;
            }
        }
        tracing::error!(lease = %self.name, "leader election lost");
        lost.cancel();
    }

    /// One try to create, take or renew; whether we hold the lease afterwards.
    async fn attempt(&self, api: &Api<Lease>, clock: &Clock, seen: &mut Seen) -> Result<bool, kube::Error> {
        let Some(mut lease) = api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(clock, None)),
            };
            return won(api.create(&PostParams::default(), &lease).await);
        };
        if seen.spec != lease.spec {
            *seen = Seen { spec: lease.spec.clone(), at: Some(Instant::now()) };
        }
        let current = lease.spec.take().unwrap_or_default();
        let holder = current.holder_identity.as_deref().unwrap_or_default();
        if !holder.is_empty() && holder != self.identity {
            let seconds = current.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let duration = seconds.map_or(self.lease_duration, Duration::from_secs);
            if seen.at.is_none_or(|at| at.elapsed() < duration) {
                return Ok(false);
            }
        }
        lease.spec = Some(self.spec(clock, Some(&current)));
        won(api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    fn spec(&self, clock: &Clock, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(clock.now());
        let ours = before.is_some_and(|before| before.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|before| before.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.lease_duration.as_secs()).ok(),
            acquire_time: before
                .filter(|_| ours)
                .map_or(Some(now.clone()), |before| before.acquire_time.clone()),
            renew_time: Some(now),
            lease_transitions: Some(if ours || before.is_none() { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        }
    }
}

/// A conflict means that another was faster, which is an answer and not an error.
fn won(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}

impl Leadership {
    /// Cancelled when the lease could not be renewed in time: stop acting at once.
    #[must_use]
    pub const fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Stops renewing and, if so configured, gives the lease up so that another takes over at once.
    pub async fn release(self) {
        self.renewing.abort();
        if !self.election.release_on_cancel || self.lost.is_cancelled() {
            return;
        }
        let released = async {
            let Some(mut lease) = self.api.get_opt(&self.election.name).await? else {
                return Ok::<_, kube::Error>(());
            };
            let Some(spec) = &mut lease.spec else { return Ok(()) };
            if spec.holder_identity.as_deref() != Some(&self.election.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(self.clock.now()));
            self.api.replace(&self.election.name, &PostParams::default(), &lease).await.map(|_| ())
        };
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(3), released).await {
            tracing::warn!(error = %chain(&error), "cannot release the lease");
        }
    }
}
