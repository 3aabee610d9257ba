//! Requests to token services: bounded, timed, and silent about what they carry.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use url::Url;

use crate::{Error, Proxy, Redacted};

/// The most that an answer may hold. A kubeconfig or a description of a cluster is a hundredth of it.
const MAX_ANSWER: usize = 1 << 20;
/// The deadline of one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a metadata service may take to accept a connection: it is on the node, or there is none.
const METADATA_CONNECT: Duration = Duration::from_secs(2);
/// The longest text of a service that is shown.
const MAX_DETAIL: usize = 400;

/// HTTP clients by the way they take.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    clients: Mutex<HashMap<Way, reqwest::Client>>,
}

/// The way of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// Through the proxy of the environment, if any.
    Default,
    /// Never through a proxy.
    Metadata,
    /// Through this one.
    Proxy(Proxy),
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) service: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, Redacted<String>)>,
    pub(crate) body: Redacted<Vec<u8>>,
    /// Texts that are cut out of what the service says.
    pub(crate) secrets: Vec<&'a str>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(service: &'static str, method: Method, url: Url) -> Self {
        let (headers, secrets) = (Vec::new(), Vec::new());
        Self { service, method, url, headers, body: Redacted::default(), secrets }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((HeaderName::from_static(name), Redacted::new(value.into())));
        self
    }

    pub(crate) fn bearer(self, token: &'a str) -> Self {
        let mut request = self.header("authorization", format!("Bearer {token}"));
        request.secrets.push(token);
        request
    }

    pub(crate) fn secret(mut self, secret: &'a str) -> Self {
        self.secrets.push(secret);
        self
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let mut request = self.header("content-type", "application/x-www-form-urlencoded");
        request.body = Redacted::new(body.finish().into_bytes());
        request
    }

    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        let mut request = self.header("content-type", "application/json");
        request.body = Redacted::new(body.to_string().into_bytes());
        request
    }

    /// The service with its host, for messages.
    pub(crate) fn shown(&self) -> String {
        match self.url.host_str() {
            Some(host) => format!("{} at {host}", self.service),
            None => self.service.to_owned(),
        }
    }
}

/// An answer with a good status.
pub(crate) struct Answer {
    pub(crate) service: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // serde's messages can quote values, so only the place is told.
        serde_json::from_slice(&self.body).map_err(|error| {
            let problem = format!("unexpected JSON at line {} column {}", error.line(), error.column());
            Error::answer(&self.service, problem)
        })
    }

    pub(crate) fn text(self) -> Result<String, Error> {
        String::from_utf8(self.body).map_err(|_| Error::answer(&self.service, "it is not text"))
    }
}

impl Wire {
    /// Sends `request`; anything but a 2xx is an error.
    pub(crate) async fn send(&self, way: &Way, request: Request<'_>) -> Result<Answer, Error> {
        let service = request.shown();
        let broken = |error: reqwest::Error| Error::Connection {
            service: service.clone(),
            source: Arc::new(error.without_url()),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value.expose_secret());
            let mut value = value
                .map_err(|_| Error::invalid(format!("the {name} for {service} has control characters")))?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        let client = self.client(way)?;
        let call = client
            .request(request.method.clone(), request.url.clone())
            .headers(headers)
            .body(request.body.expose_secret().clone());
        let mut response = call.send().await.map_err(broken)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Error::answer(&service, format!("it is larger than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(Answer { service, body });
        }
        let detail = detail(&body, &request.secrets);
        Err(Error::Refused { service, status: status.as_u16(), detail })
    }

    fn client(&self, way: &Way) -> Result<reqwest::Client, Error> {
        if let Some(client) = self.clients.lock().get(way) {
            return Ok(client.clone());
        }
        // Fails when a provider is installed already, which is just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .user_agent("flux/v2")
            // A token service that redirects would send our credentials elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT);
        let builder = match way {
            Way::Default => builder,
            Way::Metadata => builder.no_proxy().connect_timeout(METADATA_CONNECT),
            Way::Proxy(proxy) => {
                let wrong = |_| Error::invalid("the proxy's address is not a URL".to_owned());
                let mut through = reqwest::Proxy::all(&proxy.address).map_err(wrong)?;
                if let Some(user) = &proxy.username {
                    let password = proxy.password.as_ref().map_or("", |password| password.expose_secret());
                    through = through.basic_auth(user, password);
                }
                builder.proxy(through)
            }
        };
        let client = builder.build().map_err(|_| Error::invalid("TLS cannot be set up".to_owned()))?;
        let mut clients = self.clients.lock();
        // Proxies come from objects, and objects come and go.
        if clients.len() > 64 {
            clients.clear();
        }
        clients.insert(way.clone(), client.clone());
        Ok(client)
    }
}

/// What a service says of its refusal, in the shapes that the three clouds use.
fn detail(body: &[u8], secrets: &[&str]) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return String::new() };
    let said = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => {
            let at = |path: &str| json.pointer(path).and_then(|value| value.as_str()).map(str::to_owned);
            let code = at("/error/status").or_else(|| at("/error/code")).or_else(|| at("/error"));
            let code = code.or_else(|| at("/__type")).or_else(|| at("/errors/0/code"));
            let words = at("/error/message").or_else(|| at("/error_description")).or_else(|| at("/message"));
            let words = words.or_else(|| at("/Message")).or_else(|| at("/errors/0/message"));
            [code, words].into_iter().flatten().collect::<Vec<_>>().join(": ")
        }
        Err(_) => {
            let parts = [element(text, "Code"), element(text, "Message")];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        }
    };
    let mut said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        said = said.replace(secret, "***");
    }
    let short: String = said.chars().take(MAX_DETAIL).collect();
    if short.is_empty() { short } else { format!(": {short}") }
}

/// The text of the first `<name>` in XML; what STS answers has no attributes and no repeated names we read.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(text.replace("&apos;", "'").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expect: &str) {
        assert_eq!(detail(body.as_bytes(), &["canary", ""]), expect);
    }

    #[test]
    fn refusals_are_told_in_the_services_words_without_secrets() {
        check(
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not &amp; never</Message></Error></ErrorResponse>",
            ": AccessDenied: not & never",
        );
        check(
            r#"{"error":"invalid_client","error_description":"AADSTS: canary\r\nx"}"#,
            ": invalid_client: AADSTS: ***  x",
        );
        check(
            r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#,
            ": PERMISSION_DENIED: no",
        );
        check(r#"{"__type":"X","message":"y"}"#, ": X: y");
        check(r#"{"errors":[{"code":"UNAUTHORIZED","message":"who"}]}"#, ": UNAUTHORIZED: who");
        check("<html>sorry</html>", "");
        check("", "");
        check(&format!(r#"{{"message":"{}"}}"#, "x".repeat(900)), &format!(": {}", "x".repeat(400)));
    }

    #[test]
    fn elements_are_found_and_unescaped() {
        assert_eq!(element("<a><B>1 &lt; 2</B></a>", "B").unwrap(), "1 < 2");
        assert_eq!(element("<a><B>1", "B"), None);
        assert_eq!(element("", "B"), None);
    }
}
