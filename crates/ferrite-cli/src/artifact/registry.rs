//! A client that pushes to and pulls from one repository of a registry (OCI distribution specification 1.1).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use ferrite_artifact::{Algorithm, Digest};
use ferrite_runtime::Redacted;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use super::reference::Reference;

/// Bytes of a manifest, a token or a page of tags.
const DOCUMENT_BYTES: usize = 4 << 20;
/// Bytes of a layer.
const BLOB_BYTES: usize = 256 << 20;
/// Pages of tags.
const PAGES: usize = 200;
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// A user name and a password.
pub(super) type Credentials = (String, Redacted<String>);

/// How to connect.
pub(super) struct Access {
    pub(super) credentials: Option<Credentials>,
    pub(super) insecure: bool,
    /// Whether the token must allow writing.
    pub(super) push: bool,
    pub(super) timeout: Duration,
}

/// `user[:password]`.
pub(super) fn pair(text: &str) -> Credentials {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    (user.to_owned(), password.to_owned().into())
}

/// The login for a host in the Docker configuration of this person; none when there is no configuration.
///
/// # Errors
///
/// When the configuration cannot be read; it is not quoted.
pub(super) fn docker_login(host: &str) -> Result<Option<Credentials>> {
    let directory = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".docker"));
    let Some(file) = directory.or_else(home).map(|directory| directory.join("config.json")) else {
        return Ok(None);
    };
    if !file.is_file() {
        return Ok(None);
    }
    let wrong = || anyhow!("{} is no Docker configuration", file.display());
    let config: Value = serde_json::from_slice(&fs_err::read(&file)?).map_err(|_| wrong())?;
    let auths = config.get("auths").and_then(Value::as_object);
    let bare = |server: &str| {
        let name = server.trim_start_matches("https://").trim_start_matches("http://");
        name.split('/').next().unwrap_or_default().to_owned()
    };
    let found = auths.into_iter().flatten().find(|(server, _)| bare(server) == host);
    let Some(auth) = found.and_then(|(_, entry)| entry.get("auth")).and_then(Value::as_str) else {
        return Ok(None);
    };
    let decoded = base64::engine::general_purpose::STANDARD.decode(auth).map_err(|_| wrong())?;
    Ok(Some(pair(&String::from_utf8(decoded).map_err(|_| wrong())?)))
}

/// A connection to one repository.
pub(super) struct Registry {
    client: Client,
    base: Url,
    authorization: Option<Redacted<String>>,
}

impl Registry {
    /// Finds out how the registry is to be spoken to: scheme and token. Local registries, and all with `insecure`, are
    /// also spoken to without TLS.
    ///
    /// # Errors
    ///
    /// When it cannot be reached or refuses the credentials.
    pub(super) async fn connect(reference: &Reference, access: &Access) -> Result<Self> {
        let client = Client::builder().timeout(access.timeout).build()?;
        let name = reference.host.split(':').next().unwrap_or_default();
        let local = matches!(name, "localhost" | "127.0.0.1") || name.ends_with(".local");
        let schemes: &[&str] = if access.insecure || local { &["http", "https"] } else { &["https"] };
        let mut failure = None;
        for scheme in schemes {
            let host = if reference.host == "docker.io" { "registry-1.docker.io" } else { &reference.host };
            let ping: Url = format!("{scheme}://{host}/v2/").parse()?;
            let base = ping.join(&format!("{}/", reference.path))?;
            let answer = match client.get(ping).send().await {
                Ok(answer) => answer,
                Err(error) => {
                    failure = Some(error.without_url());
                    continue;
                }
            };
            let mut registry = Self { client: client.clone(), base, authorization: None };
            registry.authorize(&answer, reference, access).await?;
            return Ok(registry);
        }
        let error = failure.map_or_else(|| anyhow!("no scheme to try"), anyhow::Error::from);
        Err(error.context(format!("cannot reach the registry {}", reference.host)))
    }

    async fn authorize(&mut self, answer: &Response, reference: &Reference, access: &Access) -> Result<()> {
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        let basic = access.credentials.as_ref().map(|(user, password)| {
            let pair = format!("{user}:{}", password.expose_secret());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        });
        let challenge =
            answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            let basic = basic.with_context(|| {
                format!("the registry {} wants credentials; give --creds", reference.host)
            })?;
            self.authorization = Some(basic.into());
            return Ok(());
        }
        let parameters = parameters(rest);
        let realm = parameters
            .get("realm")
            .with_context(|| format!("the registry {} asks for an unknown kind of login", reference.host))?;
        let mut url: Url = realm.parse().context("the registry names no token server")?;
        if url.scheme() != "https" && self.base.scheme() == "https" {
            bail!("the token server of {} is not asked over https", reference.host);
        }
        if let Some(service) = parameters.get("service") {
            url.query_pairs_mut().append_pair("service", service);
        }
        let actions = if access.push { "pull,push" } else { "pull" };
        url.query_pairs_mut().append_pair("scope", &format!("repository:{}:{actions}", reference.path));
        let mut request = self.client.get(url);
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        if !answer.status().is_success() {
            bail!(
                "the token server of {} answered {}; check the credentials",
                reference.host,
                answer.status()
            );
        }
        let token: Value = serde_json::from_slice(&body(answer, DOCUMENT_BYTES).await?)?;
        let token = ["token", "access_token"].iter().find_map(|key| token.get(key)?.as_str());
        self.authorization =
            Some(format!("Bearer {}", token.context("the token server gave no token")?).into());
        Ok(())
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        // A token goes to the registry it was made for only.
        let ours = url.origin() == self.base.origin();
        let request = self.client.request(method, url);
        match &self.authorization {
            Some(value) if ours => request.header(AUTHORIZATION, value.expose_secret()),
            _ => request,
        }
    }

    fn url(&self, path: &str) -> Result<Url> {
        // `./` keeps a colon in a digest from being read as the end of a scheme.
        Ok(self.base.join(&format!("./{path}"))?)
    }

    async fn send(&self, request: RequestBuilder, what: &str) -> Result<Response> {
        let answer = request
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("cannot {what}"))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let said = body(answer, DOCUMENT_BYTES).await.unwrap_or_default();
        let said: Value = serde_json::from_slice(&said).unwrap_or_default();
        let why = said.pointer("/errors/0/message").and_then(Value::as_str).unwrap_or_default();
        bail!("cannot {what}: the registry answered {status} {why}")
    }

    /// Uploads a blob unless it is there.
    ///
    /// # Errors
    ///
    /// When the registry refuses it.
    pub(super) async fn push_blob(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let there = self.request(Method::HEAD, self.url(&format!("blobs/{digest}"))?).send().await;
        if there.is_ok_and(|answer| answer.status() == StatusCode::OK) {
            return Ok(digest);
        }
        let what = format!("upload {digest}");
        let begin = self.request(Method::POST, self.url("blobs/uploads/")?).header("content-length", "0");
        let answer = self.send(begin, &what).await?;
        let place = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let mut place = self.base.join(place.context("the registry says no place to upload to")?)?;
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let put = self
            .request(Method::PUT, place)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec());
        self.send(put, &what).await?;
        Ok(digest)
    }

    /// Puts a manifest under a tag.
    ///
    /// # Errors
    ///
    /// When the registry refuses it.
    pub(super) async fn push_manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let put = self.request(Method::PUT, self.url(&format!("manifests/{tag}"))?);
        let put = put.header(CONTENT_TYPE, media_type).body(bytes.to_vec());
        self.send(put, &format!("push the manifest {tag}")).await.map(drop)
    }

    /// A manifest's bytes and media type.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not the one asked for.
    pub(super) async fn manifest_bytes(&self, which: &str) -> Result<(Vec<u8>, String)> {
        let get =
            self.request(Method::GET, self.url(&format!("manifests/{which}"))?).header(ACCEPT, MANIFESTS);
        let answer = self.send(get, &format!("read the manifest {which}")).await?;
        let media = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.unwrap_or(super::MANIFEST).to_owned();
        let bytes = body(answer, DOCUMENT_BYTES).await?;
        if let Ok(expected) = which.parse::<Digest>() {
            check(&bytes, &expected)?;
        }
        Ok((bytes, media))
    }

    /// A manifest and its digest.
    ///
    /// # Errors
    ///
    /// As [`Registry::manifest_bytes`].
    pub(super) async fn manifest(&self, which: &str) -> Result<(Value, Digest)> {
        let (bytes, _) = self.manifest_bytes(which).await?;
        Ok((
            serde_json::from_slice(&bytes).context("the manifest is no JSON")?,
            Digest::of(Algorithm::Sha256, &bytes),
        ))
    }

    /// A blob.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not the one asked for.
    pub(super) async fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let expected: Digest = digest.parse().context("the manifest names no digest")?;
        let get = self.request(Method::GET, self.url(&format!("blobs/{expected}"))?);
        let bytes = body(self.send(get, &format!("read {expected}")).await?, BLOB_BYTES).await?;
        check(&bytes, &expected)?;
        Ok(bytes)
    }

    /// The tags.
    ///
    /// # Errors
    ///
    /// When the registry refuses.
    pub(super) async fn tags(&self) -> Result<Vec<String>> {
        let mut url = self.url("tags/list?n=1000")?;
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let answer = self.send(self.request(Method::GET, url.clone()), "list the tags").await?;
            let next = answer.headers().get("link").and_then(|value| value.to_str().ok()).and_then(next_page);
            let next =
                next.and_then(|next| url.join(&next).ok()).filter(|next| next.origin() == url.origin());
            let page: Value = serde_json::from_slice(&body(answer, DOCUMENT_BYTES).await?)?;
            let page = page.get("tags").and_then(Value::as_array);
            tags.extend(page.into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)));
            match next {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(tags)
    }
}

fn check(bytes: &[u8], expected: &Digest) -> Result<()> {
    if Digest::of(expected.algorithm(), bytes) == *expected {
        return Ok(());
    }
    bail!("the registry sent something else than {expected}")
}

async fn body(mut answer: Response, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > limit {
            bail!("the registry sent more than {limit} bytes");
        }
    }
    Ok(bytes)
}

/// `<url>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| target.to_owned())
}

/// `key="value"` pairs with commas between them; values may hold commas.
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some((key, rest)) = text.split_once('=') {
        let (value, tail) = match rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            Some(parts) => parts,
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.insert(key.trim_matches([' ', ',']).to_lowercase(), value.to_owned());
        text = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_and_links_are_read() {
        let read = parameters(r#"realm="https://auth.example.com/token",service="r, s",scope=x"#);
        assert_eq!(read["realm"], "https://auth.example.com/token");
        assert_eq!((read["service"].as_str(), read["scope"].as_str()), ("r, s", "x"));
        assert_eq!(
            next_page("</v2/a/tags/list?last=b>; rel=\"next\"").as_deref(),
            Some("/v2/a/tags/list?last=b")
        );
        assert_eq!(next_page("nothing"), None);
    }
}
