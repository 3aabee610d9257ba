//! Messages that an alert words itself: Go templates over the event.

use std::time::Duration;

use ferrite_gotemplate::{
    Engine, Error, Functions, Limits, MissingKey, Templates, Value, json_to_value, parse,
};

use crate::event::Event;

/// Steps of one message; no text that a person reads takes more.
const STEPS: u64 = 100_000;
/// Bytes of one message; controllers cut theirs at 39000.
const OUTPUT_BYTES: u64 = 39_000;
/// Nobody else of a lane is told meanwhile.
const TIME: Duration = Duration::from_secs(1);
/// Functions of sprig that take long whatever the limits say, or differ from call to call.
const LEFT_OUT: &[&str] = &[
    "genPrivateKey",
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "derivePassword",
    "bcrypt",
    "htpasswd",
    "getHostByName",
];

/// The message of `event` by the template `text`, without the white space around it.
///
/// The event is what a `generic` provider gets: `.message`, `.reason`, `.severity`, `.involvedObject.name`,
/// `.metadata.revision`.
///
/// # Errors
///
/// The template does not parse, fails on this event, or takes too long; what is missing in the event is no error.
pub(crate) fn render(text: &str, event: &Event) -> Result<String, Error> {
    let mut functions = Functions::sprig();
    for name in LEFT_OUT {
        functions.remove(name);
    }
    let mut set = Templates::default();
    set.add(parse("messageTemplate", text.as_bytes(), &functions)?);
    let limits = Limits { steps: STEPS, output: OUTPUT_BYTES, depth: 100, time: TIME, ..Limits::default() };
    let engine = Engine::new(functions, MissingKey::Zero, limits);
    let out = engine.execute(&set, "messageTemplate", &data(event))?;
    Ok(String::from_utf8_lossy(&out).trim().to_owned())
}

fn data(event: &Event) -> Value {
    // An event without metadata has an empty map, so that asking it for a key is no failure.
    let mut json = serde_json::json!(event);
    if let Some(fields) = json.as_object_mut() {
        fields.entry("metadata").or_insert_with(|| serde_json::json!({}));
    }
    json_to_value(&json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::tests::event;

    #[test]
    fn templates_see_the_event() {
        let check = |text: &str| render(text, &event("error")).unwrap();
        assert_eq!(
            check("{{ .involvedObject.kind }} {{ .involvedObject.name }}: {{ .reason | lower }}\n"),
            "Kustomization apps: reconciliationsucceeded"
        );
        assert_eq!(check("{{ .message | splitList \"\\n\" | first }}"), "Deployment/web configured");
        assert_eq!(check("{{ .metadata.revision }}{{ with .metadata.none }}x{{ end }}"), "main@sha1:abc");
        assert_eq!(check("{{ if eq .severity \"error\" }}🔥{{ end }}"), "🔥");
    }

    #[test]
    fn mistakes_and_endless_loops_are_errors() {
        for text in [
            "{{ .message",
            "{{ nosuch }}",
            "{{ fail \"no\" }}",
            "{{ genPrivateKey \"rsa\" }}",
            "{{ range until 1000000 }}{{ repeat 1000 \"x\" }}{{ end }}",
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
        ] {
            assert!(render(text, &event("info")).is_err(), "{text}");
        }
    }
}
