//! Who asks: keys that sign, and tokens that are shown.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

use crate::BucketError;

/// A text that no `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// The keys of somebody who may use an S3 store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKeys {
    /// The name of the key.
    pub id: String,
    /// What signs.
    pub secret: Secret,
    /// Belongs to temporary keys.
    pub session: Option<Secret>,
}

impl AccessKeys {
    /// Keys that do not expire.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: Secret::new(secret), session: None }
    }
}

/// Where keys come from. Asked before each request; whoever implements it keeps what is still valid.
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The keys to sign with now.
    fn keys(&self) -> BoxFuture<'_, Result<AccessKeys, BucketError>>;
}

impl KeySource for AccessKeys {
    fn keys(&self) -> BoxFuture<'_, Result<AccessKeys, BucketError>> {
        let keys = self.clone();
        Box::pin(async move { Ok(keys) })
    }
}

/// Where bearer tokens come from. Asked before each request; whoever implements it keeps what is still valid.
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// The token to show now.
    fn token(&self) -> BoxFuture<'_, Result<Secret, BucketError>>;
}

impl TokenSource for Secret {
    fn token(&self) -> BoxFuture<'_, Result<Secret, BucketError>> {
        let token = self.clone();
        Box::pin(async move { Ok(token) })
    }
}

impl<T: TokenSource> TokenSource for Arc<T> {
    fn token(&self) -> BoxFuture<'_, Result<Secret, BucketError>> {
        self.as_ref().token()
    }
}
