//! Counts the requests of a client, as client-go does.

use std::task::{Context, Poll};

use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use tower::{Layer, Service};

use crate::metrics::Metrics;

const NAME: &str = "rest_client_requests_total";
const HELP: &str = "Number of HTTP requests, partitioned by status code, method, and host.";

/// Puts [`Counted`] around a client's service.
pub(super) struct Counting(pub(super) Metrics);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A service whose answers are counted. Labels come from closed sets: one host, HTTP's methods and codes.
pub(super) struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (method, metrics) = (request.method().clone(), self.metrics.clone());
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            let code = answer.as_ref().map(|answer| answer.status().as_u16().to_string());
            let code = code.as_deref().unwrap_or("<error>");
            metrics.count(NAME, HELP, &[("code", code), ("host", &host), ("method", method.as_str())], 1.0);
            answer
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn answers_are_counted_by_code_host_and_method() {
        let metrics = Metrics::new();
        let inner = service_fn(|request: Request<()>| async move {
            match request.uri().path() {
                "/gone" => Err("no answer"),
                _ => Ok(Response::new(())),
            }
        });
        for (path, good) in [("/a", true), ("/b", true), ("/gone", false)] {
            let request = Request::get(format!("https://10.0.0.1:6443{path}")).body(()).unwrap();
            let service = Counting(metrics.clone()).layer(inner);
            assert_eq!(service.oneshot(request).await.is_ok(), good);
        }
        let text = metrics.render();
        for line in [
            r#"rest_client_requests_total{code="200",host="10.0.0.1:6443",method="GET"} 2"#,
            r#"rest_client_requests_total{code="<error>",host="10.0.0.1:6443",method="GET"} 1"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line} in\n{text}");
        }
    }
}
