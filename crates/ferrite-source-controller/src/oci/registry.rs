//! One repository of a registry over HTTP.

use std::{
    collections::BTreeMap,
    io::{Seek as _, Write as _},
    sync::Arc,
    time::Duration,
};

use ferrite_artifact::{Algorithm, Digest, Hasher};
use ferrite_runtime::Redacted;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, LINK, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{
    Keychain, OciError, Repository,
    auth::{Challenge, Login, challenge},
};
use crate::download::{Access, Downloaded};

const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// Bytes of a manifest, a token or a page of tags.
const DOCUMENT_LIMIT: usize = 4 << 20;
/// Tags asked for at once, and pages of them.
const TAGS_A_PAGE: u32 = 1000;
const TAG_PAGES: usize = 200;

/// A connection to one repository.
#[derive(Debug)]
pub(crate) struct Registry {
    client: reqwest::Client,
    /// What is asked.
    pub(crate) repository: Repository,
    /// `https://host/v2/<path>/`
    base: Url,
    authorization: Option<Redacted<String>>,
    timeout: Duration,
}

/// What an artifact consists of.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    #[serde(default)]
    pub(crate) layers: Vec<Layer>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    /// The manifests of an index.
    #[serde(default)]
    manifests: Vec<Child>,
}

/// A layer of an artifact.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Layer {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Child {
    digest: String,
    #[serde(default)]
    artifact_type: String,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Registry {
    /// Finds out how the registry is to be spoken to: scheme, and token where it asks for one.
    ///
    /// Plain HTTP is tried after HTTPS for local registries, and for others when `insecure`.
    pub(crate) async fn connect(
        repository: &Repository,
        keychain: &Keychain,
        access: &Access,
        insecure: bool,
    ) -> Result<Self, OciError> {
        let client = access.client().map_err(OciError::Setting)?;
        let schemes: &[&str] =
            if insecure || repository.is_local() { &["https", "http"] } else { &["https"] };
        let mut failure = None;
        for scheme in schemes {
            let host = match repository.host.as_str() {
                "index.docker.io" => "registry-1.docker.io",
                host => host,
            };
            let ping = Url::parse(&format!("{scheme}://{host}/v2/"))
                .map_err(|error| OciError::Url { problem: error.to_string() })?;
            let base = ping
                .join(&format!("{}/", repository.path))
                .map_err(|error| OciError::Url { problem: error.to_string() })?;
            let mut registry = Self {
                client: client.clone(),
                repository: repository.clone(),
                base,
                authorization: None,
                timeout: access.timeout,
            };
            let request = registry.client.get(ping.clone());
            match registry.send(&ping, request).await {
                Ok(response) => {
                    registry.authorize(&ping, &response, repository, keychain).await?;
                    return Ok(registry);
                }
                // The first failure tells more: HTTPS is what was meant.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| OciError::Url { problem: "no scheme to try".to_owned() }))
    }

    /// The tags, in the order the registry has them.
    pub(crate) async fn tags(&self) -> Result<Vec<String>, OciError> {
        let mut url = self.url("tags/list")?;
        url.set_query(Some(&format!("n={TAGS_A_PAGE}")));
        let mut tags = Vec::new();
        for _ in 0..TAG_PAGES {
            let response = self.get(Method::GET, &url, "application/json").await?;
            let next = next_page(&url, response.headers());
            let page: Tags = parse(&url, &self.body(&url, response).await?)?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                // A page of another host would be asked with our token.
                Some(next) if next.origin() == url.origin() => url = next,
                Some(_) => return Err(unusable(&url, "its next page is on another host")),
                None => return Ok(tags),
            }
        }
        Err(unusable(&url, "it has more pages of tags than allowed"))
    }

    /// The digest of what a tag or digest points to.
    pub(crate) async fn digest(&self, reference: &str) -> Result<Digest, OciError> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let response = match self.get(Method::HEAD, &url, MANIFEST_TYPES).await {
            Ok(response) => response,
            Err(OciError::NotFound { what }) => return Err(OciError::NotFound { what }),
            Err(OciError::Refused { what, status }) => return Err(OciError::Refused { what, status }),
            // Some registries do not answer HEAD.
            Err(_) => return Ok(self.manifest_bytes(&url, None).await?.1),
        };
        let named = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        match named.and_then(|digest| digest.parse().ok()) {
            Some(digest) => Ok(digest),
            None => Ok(self.manifest_bytes(&url, None).await?.1),
        }
    }

    /// The manifest of this digest; of an index, the one for linux/amd64, or the first.
    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Manifest, OciError> {
        let url = self.url(&format!("manifests/{digest}"))?;
        let (bytes, _) = self.manifest_bytes(&url, Some(digest)).await?;
        let manifest: Manifest = parse(&url, &bytes)?;
        if manifest.manifests.is_empty() {
            return Ok(manifest);
        }
        let amd64 = |child: &&Child| {
            child.platform.as_ref().is_some_and(|on| on.os == "linux" && on.architecture == "amd64")
        };
        let child = manifest.manifests.iter().find(amd64);
        let child = child.ok_or_else(|| unusable(&url, "its index has nothing for linux/amd64"))?;
        let digest = child.digest.parse::<Digest>().map_err(|error| unusable(&url, &error.to_string()))?;
        let url = self.url(&format!("manifests/{digest}"))?;
        let (bytes, _) = self.manifest_bytes(&url, Some(&digest)).await?;
        let manifest: Manifest = parse(&url, &bytes)?;
        if manifest.manifests.is_empty() {
            Ok(manifest)
        } else {
            Err(unusable(&url, "an index within an index"))
        }
    }

    /// A layer's bytes in a temporary file, at most `limit` of them.
    pub(crate) async fn layer(&self, layer: &Layer, limit: u64) -> Result<Downloaded, OciError> {
        let url = self.url(&format!("blobs/{}", layer.digest))?;
        let expected = layer.digest.parse::<Digest>().map_err(|error| unusable(&url, &error.to_string()))?;
        let disk = |error| OciError::Disk(Arc::new(error));
        let too_large =
            || unusable(&url, &format!("it is larger than {limit} bytes, the most that is allowed"));
        let work = async {
            let mut response = self.get(Method::GET, &url, "*/*").await?;
            if response.content_length().is_some_and(|length| length > limit) {
                return Err(too_large());
            }
            let mut file = tempfile::tempfile().map_err(disk)?;
            let (mut hasher, mut size) = (Hasher::new(expected.algorithm()), 0_u64);
            while let Some(chunk) = response.chunk().await.map_err(|error| broken(&url, error))? {
                size += chunk.len() as u64;
                if size > limit {
                    return Err(too_large());
                }
                hasher.update(&chunk);
                file.write_all(&chunk).map_err(disk)?;
            }
            let actual = hasher.finish();
            if actual != expected {
                let (expected, actual) = (expected.to_string(), actual.to_string());
                return Err(OciError::Digest { what: what(&url), expected, actual });
            }
            file.rewind().map_err(disk)?;
            Ok(Downloaded { file, digest: actual, size })
        };
        self.within(&url, work).await
    }

    /// The manifests that refer to `digest` and whose artifact type begins with `kind`.
    ///
    /// Registries that do not answer the question keep the list under a tag (OCI distribution 1.1, "Referrers Tag
    /// Schema").
    pub(crate) async fn referrers(&self, digest: &Digest, kind: &str) -> Result<Vec<Digest>, OciError> {
        let url = self.url(&format!("referrers/{digest}"))?;
        let bytes = match self.get(Method::GET, &url, MANIFEST_TYPES).await {
            Ok(response) => self.body(&url, response).await?,
            Err(OciError::NotFound { .. } | OciError::Status { .. }) => {
                let tag = digest.to_string().replace(':', "-");
                let url = self.url(&format!("manifests/{tag}"))?;
                match self.manifest_bytes(&url, None).await {
                    Err(OciError::NotFound { .. }) => return Ok(Vec::new()),
                    found => found?.0,
                }
            }
            Err(error) => return Err(error),
        };
        let list: Manifest = parse(&url, &bytes)?;
        let fitting = list.manifests.iter().filter(|child| child.artifact_type.starts_with(kind));
        let digests = fitting.map(|child| child.digest.parse::<Digest>());
        digests.collect::<Result<_, _>>().map_err(|error| unusable(&url, &error.to_string()))
    }

    /// A small layer's bytes, at most `limit` of them.
    pub(crate) async fn blob(&self, layer: &Layer, limit: u64) -> Result<Vec<u8>, OciError> {
        use std::io::Read as _;
        let downloaded = self.layer(layer, limit).await?;
        let mut bytes = Vec::new();
        let read = (&downloaded.file).take(limit).read_to_end(&mut bytes);
        read.map_err(|error| OciError::Disk(Arc::new(error)))?;
        Ok(bytes)
    }

    async fn manifest_bytes(
        &self,
        url: &Url,
        expected: Option<&Digest>,
    ) -> Result<(Vec<u8>, Digest), OciError> {
        let response = self.get(Method::GET, url, MANIFEST_TYPES).await?;
        let bytes = self.body(url, response).await?;
        let algorithm = expected.map_or(Algorithm::Sha256, Digest::algorithm);
        let actual = Digest::of(algorithm, &bytes);
        match expected.filter(|expected| **expected != actual) {
            Some(expected) => {
                let (expected, actual) = (expected.to_string(), actual.to_string());
                Err(OciError::Digest { what: what(url), expected, actual })
            }
            None => Ok((bytes, actual)),
        }
    }

    fn url(&self, path: &str) -> Result<Url, OciError> {
        // `./` keeps a colon in a digest from being read as the end of a scheme.
        self.base.join(&format!("./{path}")).map_err(|error| OciError::Url { problem: error.to_string() })
    }

    async fn get(&self, method: Method, url: &Url, accept: &str) -> Result<Response, OciError> {
        let mut request = self.client.request(method, url.clone()).header(ACCEPT, accept);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.expose_secret());
        }
        let response = self.send(url, request).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(OciError::NotFound { what: what(url) }),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(OciError::Refused { what: what(url), status })
            }
            status => Err(OciError::Status { what: what(url), status }),
        }
    }

    async fn send(&self, url: &Url, request: RequestBuilder) -> Result<Response, OciError> {
        self.within(url, async { request.send().await.map_err(|error| broken(url, error)) }).await
    }

    async fn within<T>(
        &self,
        url: &Url,
        work: impl Future<Output = Result<T, OciError>>,
    ) -> Result<T, OciError> {
        let late = |_| Err(OciError::Timeout { what: what(url) });
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(late)
    }

    async fn body(&self, url: &Url, mut response: Response) -> Result<Vec<u8>, OciError> {
        let work = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| broken(url, error))? {
                if bytes.len() + chunk.len() > DOCUMENT_LIMIT {
                    return Err(unusable(url, "it is larger than 4 MiB"));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        self.within(url, work).await
    }

    /// Answers the challenge of a ping.
    async fn authorize(
        &mut self,
        ping: &Url,
        response: &Response,
        repository: &Repository,
        keychain: &Keychain,
    ) -> Result<(), OciError> {
        let login = keychain.get(repository);
        if let Some(Login::Bearer(token)) = login {
            self.authorization = Some(format!("Bearer {}", token.expose_secret()).into());
            return Ok(());
        }
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        let header = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = header.filter_map(|value| value.to_str().ok()).find_map(challenge);
        match (challenge, login) {
            (Some(Challenge::Basic), Some(Login::Basic { username, password })) => {
                self.authorization = Some(basic(username, password.expose_secret()));
                Ok(())
            }
            (Some(Challenge::Basic), _) => {
                Err(OciError::Refused { what: what(ping), status: StatusCode::UNAUTHORIZED })
            }
            (Some(Challenge::Bearer { realm, service }), login) => {
                let token = self.token(ping, &realm, service.as_deref(), &repository.path, login).await?;
                self.authorization = Some(format!("Bearer {token}").into());
                Ok(())
            }
            (None, _) => Err(unusable(ping, "it asks for a kind of authentication that is not known here")),
        }
    }

    /// Gets a token to pull from a repository, anonymously without a login.
    async fn token(
        &self,
        ping: &Url,
        realm: &str,
        service: Option<&str>,
        path: &str,
        login: Option<&Login>,
    ) -> Result<String, OciError> {
        let mut url = Url::parse(realm).map_err(|_| unusable(ping, "its token server is no URL"))?;
        // Credentials that came over TLS must not leave it.
        if url.scheme() != "https" && (ping.scheme() == "https" || url.scheme() != "http") {
            return Err(unusable(ping, "its token server is not asked over https"));
        }
        let scope = format!("repository:{path}:pull");
        let request = if let Some(Login::Identity(token)) = login {
            let form = [
                ("grant_type", "refresh_token"),
                ("service", service.unwrap_or_default()),
                ("scope", &scope),
                ("client_id", "ferrite"),
                ("refresh_token", token.expose_secret()),
            ];
            self.client.post(url.clone()).form(&form)
        } else {
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", service);
            }
            url.query_pairs_mut().append_pair("scope", &scope);
            let request = self.client.get(url.clone());
            match login {
                Some(Login::Basic { username, password }) => {
                    request.header(AUTHORIZATION, basic(username, password.expose_secret()).expose_secret())
                }
                _ => request,
            }
        };
        let response = self.send(&url, request).await?;
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(OciError::Refused { what: what(&url), status });
            }
            status => return Err(OciError::Status { what: what(&url), status }),
        }
        let token: Token = parse(&url, &self.body(&url, response).await?)?;
        let token = if token.token.is_empty() { token.access_token } else { token.token };
        if token.is_empty() { Err(unusable(&url, "there is no token in it")) } else { Ok(token) }
    }
}

fn basic(username: &str, password: &str) -> Redacted<String> {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {pair}").into()
}

/// The page after this one: `Link: <url>; rel="next"`.
fn next_page(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    if rest.contains("next") { url.join(target).ok() } else { None }
}

fn parse<T: serde::de::DeserializeOwned>(url: &Url, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|error| unusable(url, &error.to_string()))
}

fn unusable(url: &Url, problem: &str) -> OciError {
    OciError::Answer { what: what(url), problem: problem.to_owned() }
}

fn broken(url: &Url, error: reqwest::Error) -> OciError {
    OciError::Connection { what: what(url), source: Arc::new(error.without_url()) }
}

/// An address without its query, which may hold a signature.
fn what(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
