//! Log lines with the keys that `flux logs` and Flux's dashboards read.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer, filter::Targets, layer::Context, layer::SubscriberExt as _, registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::flags::{LogEncoding, LogLevel};

/// Sends the process's log to standard error. A second call changes nothing.
pub fn init(level: LogLevel, encoding: LogEncoding) {
    let ours = match level {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Error => Level::ERROR,
    };
    // Libraries log on their own account only when everything is asked for.
    let theirs = if level == LogLevel::Trace { Level::DEBUG } else { Level::ERROR };
    let targets = Targets::new()
        .with_default(theirs)
        .with_target("ferrite", ours)
        .with_target("source_controller", ours)
        .with_target("kustomize_controller", ours);
    let write = |line: &str| {
        // A closed standard error leaves nowhere to complain to.
        let _ignored = writeln!(std::io::stderr().lock(), "{line}").is_ok();
    };
    let _already_set = tracing_subscriber::registry()
        .with(Lines { encoding, write }.with_filter(targets))
        .try_init()
        .is_err();
}

/// The layer that turns events into lines and gives them to `write`.
#[derive(Debug)]
pub struct Lines<W> {
    /// How a line looks.
    pub encoding: LogEncoding,
    /// Takes one line without its end.
    pub write: W,
}

/// The fields of a span, kept beside it.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut Fields(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut Fields(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Map::new();
        for span in
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(own) = span.extensions().get::<SpanFields>() {
                fields.extend(own.0.clone());
            }
        }
        event.record(&mut Fields(&mut fields));
        let level = event.metadata().level().as_str().to_lowercase();
        let now = jiff::Timestamp::now();
        let line = match self.encoding {
            LogEncoding::Json => json_line(now, &level, fields),
            LogEncoding::Console => console_line(now, &level, fields),
        };
        (self.write)(&line);
    }
}

fn json_line(now: jiff::Timestamp, level: &str, mut fields: Map<String, Value>) -> String {
    let mut line = Map::new();
    line.insert("level".to_owned(), json!(level));
    line.insert("ts".to_owned(), json!(timestamp(now)));
    line.insert("msg".to_owned(), fields.shift_remove("message").unwrap_or_default());
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    // controller-runtime names the object a second time, under its kind.
    if let (Some(kind), Some(namespace), Some(name)) =
        (text("controllerKind"), text("namespace"), text("name"))
    {
        fields.insert(kind, json!({"name": name, "namespace": namespace}));
    }
    line.extend(fields);
    Value::Object(line).to_string()
}

fn console_line(now: jiff::Timestamp, level: &str, mut fields: Map<String, Value>) -> String {
    let message =
        fields.shift_remove("message").and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
    for noise in ["controller", "controllerGroup", "reconcileID"] {
        fields.shift_remove(noise);
    }
    let words: Vec<String> = fields
        .iter()
        .map(|(key, value)| {
            value.as_str().map_or_else(|| format!("{key}={value}"), |text| format!("{key}={text}"))
        })
        .collect();
    format!("{} {level:<5} {message} {}", timestamp(now), words.join(" ")).trim_end().to_owned()
}

/// ISO 8601 with milliseconds, as zap writes it.
fn timestamp(now: jiff::Timestamp) -> String {
    jiff::fmt::temporal::DateTimePrinter::new().precision(Some(3)).timestamp_to_string(&now)
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), json!(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    fn line(encoding: LogEncoding) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let write = move |line: &str| sink.lock().push(line.to_owned());
        let subscriber = tracing_subscriber::registry().with(Lines { encoding, write });
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(
                "reconcile",
                controller = "gitrepository",
                controllerKind = "GitRepository",
                namespace = "default",
                name = "app",
                reconcileID = "42",
            );
            let _inside = span.enter();
            tracing::error!(error = %"no route", "failed");
        });
        let mut lines = lines.lock();
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    #[test]
    fn json_lines_have_the_keys_of_controller_runtime() {
        let mut value: Map<String, Value> = serde_json::from_str(&line(LogEncoding::Json)).unwrap();
        let ts = value.remove("ts").unwrap();
        assert!(ts.as_str().unwrap().ends_with('Z') && ts.as_str().unwrap().len() == 24, "{ts}");
        let expect = json!({"level": "error", "msg": "failed", "controller": "gitrepository",
            "controllerKind": "GitRepository", "namespace": "default", "name": "app", "reconcileID": "42",
            "error": "no route", "GitRepository": {"name": "app", "namespace": "default"}});
        assert_eq!(Value::Object(value), expect);
    }

    #[test]
    fn console_lines_are_for_people() {
        let text = line(LogEncoding::Console);
        assert!(
            text.ends_with(
                "error failed controllerKind=GitRepository namespace=default name=app error=no route"
            ),
            "{text}"
        );
    }
}
