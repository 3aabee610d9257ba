//! Temporary keys for a user of a directory: MinIO's `AssumeRoleWithLDAPIdentity`.

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    AccessKeys, BucketError, KeySource, Secret,
    http::{self, XmlError},
};

/// Keys are renewed this long before they end.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// Asks a security token service for keys, with the password of a directory's user.
#[derive(Debug)]
pub struct LdapIdentity {
    client: Client,
    endpoint: Url,
    username: String,
    password: Secret,
    /// One asks, the others wait for the answer.
    known: Mutex<Option<(AccessKeys, Timestamp)>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(rename = "AssumeRoleWithLDAPIdentityResult")]
    result: Assumed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: Credentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: String,
    expiration: Timestamp,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("expiration", &self.expiration).finish_non_exhaustive()
    }
}

/// `<ErrorResponse><Error>…</Error></ErrorResponse>`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorResponse {
    #[serde(default)]
    error: XmlError,
}

impl LdapIdentity {
    /// `endpoint` is the address of the service; both name and password may be empty.
    pub fn new(
        client: Client,
        endpoint: Url,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        let (username, password) = (username.into(), Secret::new(password));
        Self { client, endpoint, username, password, known: Mutex::default() }
    }

    async fn assume(&self) -> Result<(AccessKeys, Timestamp), BucketError> {
        let host = self.endpoint.host_str().unwrap_or_default();
        let form = [
            ("Action", "AssumeRoleWithLDAPIdentity"),
            ("Version", "2011-06-15"),
            ("LDAPUsername", &self.username),
            ("LDAPPassword", self.password.expose()),
        ];
        let sent = self.client.post(self.endpoint.clone()).form(&form).send().await;
        let response = sent.map_err(|error| http::broken(host, error))?;
        let status = response.status();
        let body = http::body(host, response).await?;
        if !status.is_success() {
            let told: ErrorResponse = http::xml(host, &body).unwrap_or_default();
            let XmlError { code, message, region: _ } = told.error;
            if code.is_empty() {
                return Err(http::by_status(status));
            }
            return Err(BucketError::Answer { status: status.as_u16(), code, message, region: None });
        }
        let Answer { result: Assumed { credentials } } = http::xml(host, &body)?;
        let Credentials { access_key_id, secret_access_key, session_token, expiration } = credentials;
        let session = Some(session_token).filter(|token| !token.is_empty()).map(Secret::new);
        Ok((AccessKeys { id: access_key_id, secret: Secret::new(secret_access_key), session }, expiration))
    }
}

impl KeySource for LdapIdentity {
    fn keys(&self) -> BoxFuture<'_, Result<AccessKeys, BucketError>> {
        Box::pin(async move {
            let mut known = self.known.lock().await;
            if let Some((keys, until)) = known.as_ref()
                && Timestamp::now() + MARGIN < *until
            {
                return Ok(keys.clone());
            }
            let (keys, until) = self.assume().await?;
            *known = Some((keys.clone(), until));
            Ok(keys)
        })
    }
}
