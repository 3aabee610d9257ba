use serde_json::json;

use super::*;
use crate::Chart;

/// Two revisions of one release, and another one; what is printed of them is what helm 4.3.1 prints.
struct Stored;

impl Host for Stored {
    fn chart(&self, reference: &str) -> Result<Chart, String> {
        Err(reference.to_owned())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(path.to_owned())
    }

    fn now(&self) -> String {
        String::new()
    }

    fn records(&self, query: &Query) -> Result<Vec<Record>, String> {
        let record = |name: &str, version: i64, status: &str| {
            Record {
            release: Release::from_json(json!({
                "name": name, "namespace": "a", "version": version, "manifest": "---\n# Source: web/templates/a.yaml\nkind: A\n",
                "info": {"last_deployed": "2026-11-05T21:43:10.3228Z", "status": status, "description": "Upgrade complete", "notes": "Hello\n"},
                "chart": {
                    "metadata": {"name": "web", "version": "1.2.3", "appVersion": "9", "annotations": {"b": "2", "a": "1"}},
                    "values": {"num": 1, "value": "default"},
                },
                "config": {"value": "mine", "list": [1.5]},
                "hooks": [{"name": "t", "kind": "Pod", "path": "web/templates/t.yaml", "manifest": "kind: T", "events": ["test"],
                    "last_run": {"started_at": "2026-11-05T21:43:11Z", "completed_at": "2026-11-05T21:43:12Z", "phase": "Succeeded"}}],
                "apply_method": "ssa",
            }))
            .unwrap(),
            labels: vec![("owner".into(), "helm".into()), ("name".into(), name.into())],
        }
        };
        let all = [record("db", 1, "failed"), record("web", 1, "superseded"), record("web", 2, "deployed")];
        let wanted = |record: &Record| match &query.name {
            Some(name) => record.release.name == *name,
            None => record.release.status != Status::Superseded,
        };
        Ok(all.into_iter().filter(wanted).collect())
    }
}

#[track_caller]
fn check(command: &str, expect: &str) {
    let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let output = super::super::run(&words, &Stored);
    assert_eq!(output.stdout + &output.stderr, expect, "{command}");
}

#[test]
fn releases_are_listed() {
    check(
        "list -n a",
        "NAME\tNAMESPACE\tREVISION\tUPDATED                           \tSTATUS  \tCHART    \tAPP VERSION\n\
         db  \ta        \t1       \t2026-11-05 21:43:10.3228 +0000 UTC\tfailed  \tweb-1.2.3\t9          \n\
         web \ta        \t2       \t2026-11-05 21:43:10.3228 +0000 UTC\tdeployed\tweb-1.2.3\t9          \n",
    );
    check("ls -q -r", "web\ndb\n");
    check("list --failed -q", "db\n");
    check(
        "list -f ^w -o json",
        "[{\"name\":\"web\",\"namespace\":\"a\",\"revision\":\"2\",\"updated\":\"2026-11-05 21:43:10.3228 +0000 UTC\",\"status\":\"deployed\",\"chart\":\"web-1.2.3\",\"app_version\":\"9\"}]\n",
    );
    check(
        "history web",
        "REVISION\tUPDATED                 \tSTATUS    \tCHART    \tAPP VERSION\tDESCRIPTION     \n\
         1       \tThu Nov  5 21:43:10 2026\tsuperseded\tweb-1.2.3\t9          \tUpgrade complete\n\
         2       \tThu Nov  5 21:43:10 2026\tdeployed  \tweb-1.2.3\t9          \tUpgrade complete\n",
    );
    check(
        "history web --max 1 -o yaml",
        "- app_version: \"9\"\n  chart: web-1.2.3\n  description: Upgrade complete\n  revision: 2\n  status: deployed\n  updated: \"2026-11-05T21:43:10.3228Z\"\n",
    );
    check("history nope", "Error: release: not found\n");
}

#[test]
fn a_release_is_shown() {
    check("get values web", "USER-SUPPLIED VALUES:\nlist:\n- 1.5\nvalue: mine\n");
    check("get values web -a -o json", "{\"list\":[1.5],\"num\":1,\"value\":\"mine\"}\n");
    check("get manifest web --revision 1", "---\n# Source: web/templates/a.yaml\nkind: A\n\n");
    check("get hooks web", "---\n# Source: web/templates/t.yaml\nkind: T\n");
    check("get notes web", "NOTES:\nHello\n\n");
    check(
        "get metadata web",
        "NAME: web\nCHART: web\nVERSION: 1.2.3\nAPP_VERSION: 9\nANNOTATIONS: a=1,b=2\nLABELS: name=web,owner=helm\n\
         DEPENDENCIES: \nNAMESPACE: a\nREVISION: 2\nSTATUS: deployed\nDEPLOYED_AT: 2026-11-05T21:43:10Z\n\
         APPLY_METHOD: server-side apply\n",
    );
    let head =
        "NAME: web\nLAST DEPLOYED: Thu Nov  5 21:43:10 2026\nNAMESPACE: a\nSTATUS: deployed\nREVISION: 2\n";
    let suite = "DESCRIPTION: Upgrade complete\nTEST SUITE:     t\nLast Started:   Thu Nov  5 21:43:11 2026\n\
                 Last Completed: Thu Nov  5 21:43:12 2026\nPhase:          Succeeded\n";
    check("status web", &format!("{head}{suite}NOTES:\nHello\n"));
    let rest = "USER-SUPPLIED VALUES:\nlist:\n- 1.5\nvalue: mine\n\nCOMPUTED VALUES:\nlist:\n- 1.5\nnum: 1\nvalue: mine\n\n\
                HOOKS:\n---\n# Source: web/templates/t.yaml\nkind: T\nMANIFEST:\n---\n# Source: web/templates/a.yaml\n\
                kind: A\n\nNOTES:\nHello\n";
    check("get all web", &format!("{head}CHART: web\nVERSION: 1.2.3\nAPP_VERSION: 9\n{suite}{rest}"));
    check(
        "get everything web",
        "Error: unknown command \"everything\" for \"helm get\": expected one of all, hooks, manifest, metadata, notes, values\n",
    );
}
