//! Keys and tokens of the clouds, for buckets that name no keys of their own.

use ferrite_bucket::{AccessKeys, BucketError, KeySource, Secret, TokenSource};
use ferrite_cloud::{AwsCredentials, Caller, Cloud, Kind, Scope};
use ferrite_runtime::chain;
use futures::future::BoxFuture;

/// Keys of AWS as somebody; the cloud's cache keeps them while they are valid.
#[derive(Debug)]
pub(super) struct CloudKeys {
    pub(super) cloud: Cloud,
    pub(super) caller: Caller,
    pub(super) scope: Scope,
}

impl KeySource for CloudKeys {
    fn keys(&self) -> BoxFuture<'_, Result<AccessKeys, BucketError>> {
        Box::pin(async move {
            let found = self.cloud.aws(&self.caller, &self.scope).await;
            let AwsCredentials { access_key_id, secret_access_key, session_token, expires: _ } =
                found.map_err(|error| refused("AWS", &error))?;
            Ok(AccessKeys {
                id: access_key_id,
                secret: Secret::new(secret_access_key.expose_secret().as_str()),
                session: session_token.map(|token| Secret::new(token.expose_secret().as_str())),
            })
        })
    }
}

/// Bearer tokens of Azure or Google Cloud as somebody.
#[derive(Debug)]
pub(super) struct CloudTokens {
    pub(super) cloud: Cloud,
    pub(super) kind: Kind,
    pub(super) caller: Caller,
    pub(super) scope: Scope,
}

impl TokenSource for CloudTokens {
    fn token(&self) -> BoxFuture<'_, Result<Secret, BucketError>> {
        Box::pin(async move {
            let name = if self.kind == Kind::Azure { "Azure" } else { "Google Cloud" };
            let found = self.cloud.token(self.kind, &self.caller, &self.scope).await;
            let token = found.map_err(|error| refused(name, &error))?;
            Ok(Secret::new(token.token.expose_secret().as_str()))
        })
    }
}

fn refused(cloud: &str, error: &ferrite_cloud::Error) -> BucketError {
    BucketError::Credentials { problem: format!("{cloud} authentication failed: {}", chain(error)) }
}
