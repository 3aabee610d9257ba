//! One remote over HTTP: requests with credentials, and statuses turned into errors a person can act on.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response, StatusCode};
use url::Url;

use crate::{Auth, Error, Remote};

const MAX_REDIRECTS: usize = 5;

/// Credentials, trust and connections of one remote.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    client: reqwest::Client,
    url: Url,
    authorization: Option<HeaderValue>,
}

impl Session {
    pub(crate) fn new(remote: &Remote, url: &Url) -> Result<Self, Error> {
        // Fails when a provider is installed already, which is just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        // Redirects are followed by hand: only for the first request, and credentials stay with their host.
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("git/ferrite-", env!("CARGO_PKG_VERSION")))
            .connect_timeout(remote.timeout);
        if let Some(ca) = &remote.ca {
            let certificates = Certificate::from_pem_bundle(ca).unwrap_or_default();
            if certificates.is_empty() {
                return Err(credentials("CA certificate", "expected one or more certificates in PEM form"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(identity) = &remote.identity {
            let pem = [identity.key.expose().as_slice(), b"\n", &identity.certificate].concat();
            let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
                credentials("client certificate", "expected a certificate and its key in PEM form")
            })?;
            builder = builder.identity(identity);
        }
        if let Some(proxy) = &remote.proxy {
            let mut all = reqwest::Proxy::all(&proxy.address).map_err(|_| {
                credentials("proxy address", "expected http://, https:// or socks5://host:port")
            })?;
            if let Some(user) = &proxy.username {
                all = all.basic_auth(user, proxy.password.as_ref().map_or("", |p| p.expose()));
            }
            builder = builder.proxy(all);
        }
        let client =
            builder.build().map_err(|e| credentials("TLS settings", &format!("{}", e.without_url())))?;
        Ok(Self { client, url: url.clone(), authorization: authorization(&remote.auth)? })
    }

    /// The address for messages.
    pub(crate) fn shown(&self) -> &str {
        self.url.as_str()
    }

    /// `GET <url>/info/refs`; returns the answer and the address to post to, which a redirect may have moved.
    pub(crate) async fn advertisement(&self) -> Result<(Response, Url), Error> {
        self.refs("git-upload-pack", true).await
    }

    /// As [`Session::advertisement`], for a push: protocol v0.
    pub(crate) async fn receive_advertisement(&self) -> Result<(Response, Url), Error> {
        self.refs("git-receive-pack", false).await
    }

    async fn refs(&self, service: &str, version_2: bool) -> Result<(Response, Url), Error> {
        let mut target = append(&self.url, "info/refs");
        target.set_query(Some(&format!("service={service}")));
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.get(target.clone());
            if version_2 {
                request = request.header("git-protocol", "version=2");
            }
            if let Some(value) = self.authorization_for(&target) {
                request = request.header(AUTHORIZATION, value.clone());
            }
            let response = request.send().await.map_err(|e| self.unreachable(e))?;
            if response.status().is_redirection() {
                target = self.redirect(&target, response.headers())?;
                continue;
            }
            self.check(response.status())?;
            let path = target.path().strip_suffix("/info/refs").ok_or_else(|| {
                Error::protocol(self.shown(), "it was redirected to a place that is not a repository")
            })?;
            let mut base = target.clone();
            base.set_path(path);
            base.set_query(None);
            return Ok((response, base));
        }
        Err(Error::protocol(self.shown(), format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// `POST <base>/git-upload-pack`.
    pub(crate) async fn upload_pack(
        &self,
        base: &Url,
        version_2: bool,
        body: Vec<u8>,
    ) -> Result<Response, Error> {
        self.post(base, "git-upload-pack", version_2, body).await
    }

    /// `POST <base>/git-receive-pack`.
    pub(crate) async fn receive_pack(&self, base: &Url, body: Vec<u8>) -> Result<Response, Error> {
        self.post(base, "git-receive-pack", false, body).await
    }

    async fn post(
        &self,
        base: &Url,
        service: &str,
        version_2: bool,
        body: Vec<u8>,
    ) -> Result<Response, Error> {
        let target = append(base, service);
        let typed = |what: &str| {
            HeaderValue::from_str(&format!("application/x-{service}-{what}"))
                .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, typed("request"));
        headers.insert(ACCEPT, typed("result"));
        if version_2 {
            headers.insert("git-protocol", HeaderValue::from_static("version=2"));
        }
        if let Some(value) = self.authorization_for(&target) {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let request = self.client.post(target).headers(headers).body(body);
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        if response.status().is_redirection() {
            return Err(Error::protocol(self.shown(), "it redirects the second request"));
        }
        self.check(response.status())?;
        Ok(response)
    }

    /// The whole body, at most `limit` bytes of it.
    pub(crate) async fn body(
        &self,
        mut response: Response,
        what: &'static str,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(e))? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > limit {
                return Err(Error::Limit { url: self.shown().to_owned(), what, limit });
            }
        }
        Ok(body)
    }

    pub(crate) fn broken(&self, source: reqwest::Error) -> Error {
        Error::Broken { url: self.shown().to_owned(), source: source.without_url() }
    }

    /// Credentials go to the host they were given for, and to no other a redirect may name.
    fn authorization_for(&self, target: &Url) -> Option<&HeaderValue> {
        let same = target.origin() == self.url.origin();
        self.authorization.as_ref().filter(|_| same)
    }

    fn redirect(&self, from: &Url, headers: &HeaderMap) -> Result<Url, Error> {
        let wrong = |problem: &str| Error::protocol(self.shown(), problem);
        let to = headers
            .get(LOCATION)
            .and_then(|v| v.to_str().ok())
            .ok_or_else(|| wrong("a redirect to nowhere"))?;
        let mut to = from.join(to).map_err(|_| wrong("a redirect to something that is not an address"))?;
        if !matches!(to.scheme(), "http" | "https") || (from.scheme() == "https" && to.scheme() == "http") {
            return Err(wrong("a redirect away from HTTPS, which is refused"));
        }
        // A server must not smuggle credentials of its own into later messages.
        let stripped = to.set_username("").and_then(|()| to.set_password(None));
        stripped.map_err(|()| wrong("a redirect to an address without a host"))?;
        Ok(to)
    }

    fn check(&self, status: StatusCode) -> Result<(), Error> {
        let (url, code) = (self.shown().to_owned(), status.as_u16());
        match code {
            200 => Ok(()),
            401 if self.authorization.is_none() => Err(Error::AuthenticationRequired { url, status: code }),
            401 | 403 => Err(Error::AuthenticationRefused { url, status: code }),
            404 | 410 => Err(Error::NotFound { url }),
            _ => Err(Error::Status { url, status: code }),
        }
    }

    fn unreachable(&self, source: reqwest::Error) -> Error {
        let url = self.shown().to_owned();
        if distrusts(&source) {
            return Error::Tls { url, source: source.without_url() };
        }
        if source.is_connect() {
            Error::Unreachable { url, source: source.without_url() }
        } else {
            Error::Broken { url, source: source.without_url() }
        }
    }
}

/// Whether a TLS error is among the causes; an `io::Error` hides what it holds from `source`.
fn distrusts(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    false
}

fn append(base: &Url, segment: &str) -> Url {
    let mut url = base.clone();
    let path = format!("{}/{segment}", base.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

fn credentials(what: &'static str, problem: &str) -> Error {
    Error::Credentials { what, problem: problem.to_owned() }
}

fn authorization(auth: &Auth) -> Result<Option<HeaderValue>, Error> {
    use base64::Engine as _;
    let text = match auth {
        Auth::None => return Ok(None),
        Auth::Ssh(_) => return Err(credentials("SSH key", "the address is an HTTP one")),
        Auth::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        Auth::Bearer(token) => format!("Bearer {}", token.expose().trim_end()),
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| credentials("bearer token", "it holds a character that no HTTP header may hold"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}
