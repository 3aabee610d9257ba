//! Passwords for CodeCommit over HTTPS: a signature of the repository's address.
//!
//! Source: `git-remote-codecommit` and fluxcd/pkg `auth/aws`: the method is `GIT`, only the host is signed, the body
//! hash is empty, and the time has no `Z` where it is signed but one in the password.

use jiff::{SignedDuration, Timestamp};
use ring::digest;
use url::Url;

use super::sigv4;
use crate::{AwsCredentials, Error, GitLogin};

/// How long CodeCommit takes a password.
const LIFE: SignedDuration = SignedDuration::from_mins(15);

/// The region in the address of a CodeCommit repository.
pub(super) fn region(url: &Url) -> Result<String, Error> {
    if url.scheme() != "https" {
        return Err(Error::invalid("AWS CodeCommit authentication requires an HTTPS Git URL"));
    }
    let host = url.host_str().unwrap_or_default();
    let parts: Vec<&str> = host.split('.').collect();
    let ours = matches!(parts.first(), Some(&"git-codecommit" | &"git-codecommit-fips"))
        && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"));
    match parts.get(1) {
        Some(region) if ours && parts.len() >= 4 => Ok((*region).to_owned()),
        _ => Err(Error::invalid(format!("invalid AWS CodeCommit Git URL: {host}"))),
    }
}

pub(super) fn login(url: &Url, keys: &AwsCredentials, now: Timestamp) -> Result<GitLogin, Error> {
    let region = region(url)?;
    let signing = sigv4::Signing {
        method: "GIT",
        url,
        headers: &[],
        payload: sigv4::Payload::Sha256(""),
        region: &region,
        service: "codecommit",
        path: sigv4::Path::Normal,
    };
    let date = sigv4::timestamp(now);
    let date = date.trim_end_matches('Z');
    let canonical = format!("GIT\n{}\n\nhost:{}\n\nhost\n", url.path(), sigv4::host(url));
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{}\n{}",
        sigv4::scope(date, &signing),
        hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    );
    let signature = hex::encode(sigv4::hmac(sigv4::key(keys, &signing, date).as_ref(), to_sign.as_bytes()));
    let username = match &keys.session_token {
        Some(token) => format!("{}%{}", keys.access_key_id, token.expose_secret()),
        None => keys.access_key_id.clone(),
    };
    let expires = now.saturating_add(LIFE).unwrap_or(now);
    Ok(GitLogin::Basic {
        username: username.into(),
        password: format!("{date}Z{signature}").into(),
        expires: keys.expires.map_or(expires, |keys| keys.min(expires)),
    })
}
