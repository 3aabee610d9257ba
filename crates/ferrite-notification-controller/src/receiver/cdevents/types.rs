//! The types of CDEvents 0.4.1: name and version, type of the subject, members of its content.

use super::{Field, REFERENCE, Shape, URI, may, need};

const TRIGGER: &[Field] = &[
    may("type", Shape::OneOf(&["manual", "pipeline", "event", "schedule", "other"])),
    may("uri", Shape::Text),
];
/// `(type without dev.cdevents., subject type, content)`.
pub(super) const TYPES: &[(&str, &str, &[Field])] = &[
    ("artifact.deleted.0.1.0", "artifact", &[may("user", Shape::Named)]),
    ("artifact.downloaded.0.1.0", "artifact", &[may("user", Shape::Named)]),
    (
        "artifact.packaged.0.2.0",
        "artifact",
        &[need("change", Shape::Fields(REFERENCE)), may("sbom", Shape::Fields(URI))],
    ),
    ("artifact.published.0.2.0", "artifact", &[may("sbom", Shape::Fields(URI)), may("user", Shape::Named)]),
    ("artifact.signed.0.2.0", "artifact", &[need("signature", Shape::Named)]),
    ("branch.created.0.2.0", "branch", &[may("repository", Shape::Fields(REFERENCE))]),
    ("branch.deleted.0.2.0", "branch", &[may("repository", Shape::Fields(REFERENCE))]),
    ("build.finished.0.2.0", "build", &[may("artifactId", Shape::Text)]),
    ("build.queued.0.2.0", "build", &[]),
    ("build.started.0.2.0", "build", &[]),
    ("change.abandoned.0.2.0", "change", &[may("repository", Shape::Fields(REFERENCE))]),
    (
        "change.created.0.3.0",
        "change",
        &[may("description", Shape::Named), may("repository", Shape::Fields(REFERENCE))],
    ),
    ("change.merged.0.2.0", "change", &[may("repository", Shape::Fields(REFERENCE))]),
    ("change.reviewed.0.2.0", "change", &[may("repository", Shape::Fields(REFERENCE))]),
    ("change.updated.0.2.0", "change", &[may("repository", Shape::Fields(REFERENCE))]),
    ("environment.created.0.2.0", "environment", &[may("name", Shape::Text), may("url", Shape::Text)]),
    ("environment.deleted.0.2.0", "environment", &[may("name", Shape::Text)]),
    ("environment.modified.0.2.0", "environment", &[may("name", Shape::Text), may("url", Shape::Text)]),
    (
        "incident.detected.0.2.0",
        "incident",
        &[
            may("description", Shape::Text),
            need("environment", Shape::Fields(REFERENCE)),
            may("service", Shape::Fields(REFERENCE)),
            may("artifactId", Shape::Named),
        ],
    ),
    (
        "incident.reported.0.2.0",
        "incident",
        &[
            may("description", Shape::Text),
            need("environment", Shape::Fields(REFERENCE)),
            need("ticketURI", Shape::Named),
            may("service", Shape::Fields(REFERENCE)),
            may("artifactId", Shape::Named),
        ],
    ),
    (
        "incident.resolved.0.2.0",
        "incident",
        &[
            may("description", Shape::Text),
            need("environment", Shape::Fields(REFERENCE)),
            may("service", Shape::Fields(REFERENCE)),
            may("artifactId", Shape::Named),
        ],
    ),
    (
        "pipelinerun.finished.0.2.0",
        "pipelineRun",
        &[
            may("pipelineName", Shape::Text),
            may("url", Shape::Text),
            may("outcome", Shape::Text),
            may("errors", Shape::Text),
        ],
    ),
    ("pipelinerun.queued.0.2.0", "pipelineRun", &[may("pipelineName", Shape::Text), may("url", Shape::Text)]),
    (
        "pipelinerun.started.0.2.0",
        "pipelineRun",
        &[need("pipelineName", Shape::Text), need("url", Shape::Text)],
    ),
    (
        "repository.created.0.2.0",
        "repository",
        &[
            need("name", Shape::Named),
            may("owner", Shape::Text),
            need("url", Shape::Named),
            may("viewUrl", Shape::Text),
        ],
    ),
    (
        "repository.deleted.0.2.0",
        "repository",
        &[
            may("name", Shape::Text),
            may("owner", Shape::Text),
            may("url", Shape::Text),
            may("viewUrl", Shape::Text),
        ],
    ),
    (
        "repository.modified.0.2.0",
        "repository",
        &[
            may("name", Shape::Text),
            may("owner", Shape::Text),
            may("url", Shape::Text),
            may("viewUrl", Shape::Text),
        ],
    ),
    (
        "service.deployed.0.2.0",
        "service",
        &[need("environment", Shape::Fields(REFERENCE)), need("artifactId", Shape::Named)],
    ),
    ("service.published.0.2.0", "service", &[may("environment", Shape::Fields(REFERENCE))]),
    ("service.removed.0.2.0", "service", &[may("environment", Shape::Fields(REFERENCE))]),
    (
        "service.rolledback.0.2.0",
        "service",
        &[need("environment", Shape::Fields(REFERENCE)), need("artifactId", Shape::Named)],
    ),
    (
        "service.upgraded.0.2.0",
        "service",
        &[need("environment", Shape::Fields(REFERENCE)), need("artifactId", Shape::Named)],
    ),
    (
        "taskrun.finished.0.2.0",
        "taskRun",
        &[
            may("taskName", Shape::Text),
            may("url", Shape::Text),
            may("pipelineRun", Shape::Fields(REFERENCE)),
            may("outcome", Shape::Text),
            may("errors", Shape::Text),
        ],
    ),
    (
        "taskrun.started.0.2.0",
        "taskRun",
        &[
            may("taskName", Shape::Text),
            may("url", Shape::Text),
            may("pipelineRun", Shape::Fields(REFERENCE)),
        ],
    ),
    (
        "testcaserun.finished.0.2.0",
        "testCaseRun",
        &[
            need("outcome", Shape::OneOf(&["pass", "fail", "cancel", "error"])),
            may("severity", Shape::OneOf(&["low", "medium", "high", "critical"])),
            may("reason", Shape::Text),
            need("environment", Shape::Fields(REFERENCE)),
            may("testSuiteRun", Shape::Fields(REFERENCE)),
            may(
                "testCase",
                Shape::Fields(&[
                    need("id", Shape::Named),
                    may("version", Shape::Text),
                    may("name", Shape::Text),
                    may(
                        "type",
                        Shape::OneOf(&[
                            "performance",
                            "functional",
                            "unit",
                            "security",
                            "compliance",
                            "integration",
                            "e2e",
                            "other",
                        ]),
                    ),
                    may("uri", Shape::Text),
                ]),
            ),
        ],
    ),
    (
        "testcaserun.queued.0.2.0",
        "testCaseRun",
        &[
            may("trigger", Shape::Fields(TRIGGER)),
            need("environment", Shape::Fields(REFERENCE)),
            may("testSuiteRun", Shape::Fields(REFERENCE)),
            may(
                "testCase",
                Shape::Fields(&[
                    need("id", Shape::Named),
                    may("version", Shape::Text),
                    may("name", Shape::Text),
                    may(
                        "type",
                        Shape::OneOf(&[
                            "performance",
                            "functional",
                            "unit",
                            "security",
                            "compliance",
                            "integration",
                            "e2e",
                            "other",
                        ]),
                    ),
                    may("uri", Shape::Text),
                ]),
            ),
        ],
    ),
    (
        "testcaserun.skipped.0.1.0",
        "testCaseRun",
        &[
            may("reason", Shape::Text),
            may("environment", Shape::Fields(REFERENCE)),
            may("testSuiteRun", Shape::Fields(REFERENCE)),
            may(
                "testCase",
                Shape::Fields(&[
                    need("id", Shape::Named),
                    may("version", Shape::Text),
                    may("name", Shape::Text),
                    may(
                        "type",
                        Shape::OneOf(&[
                            "performance",
                            "functional",
                            "unit",
                            "security",
                            "compliance",
                            "integration",
                            "e2e",
                            "other",
                        ]),
                    ),
                    may("uri", Shape::Text),
                ]),
            ),
        ],
    ),
    (
        "testcaserun.started.0.2.0",
        "testCaseRun",
        &[
            may("trigger", Shape::Fields(TRIGGER)),
            need("environment", Shape::Fields(REFERENCE)),
            may("testSuiteRun", Shape::Fields(REFERENCE)),
            may(
                "testCase",
                Shape::Fields(&[
                    need("id", Shape::Named),
                    may("version", Shape::Text),
                    may("name", Shape::Text),
                    may(
                        "type",
                        Shape::OneOf(&[
                            "performance",
                            "functional",
                            "unit",
                            "security",
                            "compliance",
                            "integration",
                            "e2e",
                            "other",
                        ]),
                    ),
                    may("uri", Shape::Text),
                ]),
            ),
        ],
    ),
    (
        "testoutput.published.0.2.0",
        "testOutput",
        &[
            need("outputType", Shape::OneOf(&["report", "video", "image", "log", "other"])),
            need("format", Shape::Text),
            may("uri", Shape::Text),
            may("testCaseRun", Shape::Fields(REFERENCE)),
        ],
    ),
    (
        "testsuiterun.finished.0.2.0",
        "testSuiteRun",
        &[
            need("environment", Shape::Fields(REFERENCE)),
            may(
                "testSuite",
                Shape::Fields(&[
                    need("id", Shape::Named),
                    may("version", Shape::Text),
                    may("name", Shape::Text),
                    may("uri", Shape::Text),
                ]),
            ),
            need("outcome", Shape::OneOf(&["pass", "fail", "cancel", "error"])),
            may("severity", Shape::OneOf(&["low", "medium", "high", "critical"])),
            may("reason", Shape::Text),
        ],
    ),
    (
        "testsuiterun.queued.0.2.0",
        "testSuiteRun",
        &[
            may("trigger", Shape::Fields(TRIGGER)),
            need("environment", Shape::Fields(REFERENCE)),
            may(
                "testSuite",
                Shape::Fields(&[
                    need("id", Shape::Named),
                    may("version", Shape::Text),
                    may("name", Shape::Text),
                    may("url", Shape::Text),
                ]),
            ),
        ],
    ),
    (
        "testsuiterun.started.0.2.0",
        "testSuiteRun",
        &[
            may("trigger", Shape::Fields(TRIGGER)),
            need("environment", Shape::Fields(REFERENCE)),
            may(
                "testSuite",
                Shape::Fields(&[
                    need("id", Shape::Named),
                    may("version", Shape::Text),
                    may("name", Shape::Text),
                    may("uri", Shape::Text),
                ]),
            ),
        ],
    ),
    (
        "ticket.closed.0.1.0",
        "ticket",
        &[
            may("summary", Shape::Text),
            may("ticketType", Shape::Text),
            may("group", Shape::Text),
            may("creator", Shape::Named),
            may("assignees", Shape::Texts),
            may("priority", Shape::Text),
            may("labels", Shape::Texts),
            may("milestone", Shape::Text),
            need("uri", Shape::Named),
            need("resolution", Shape::Text),
            may("updatedBy", Shape::Text),
        ],
    ),
    (
        "ticket.created.0.1.0",
        "ticket",
        &[
            need("summary", Shape::Text),
            may("ticketType", Shape::Text),
            may("group", Shape::Text),
            need("creator", Shape::Named),
            may("assignees", Shape::Texts),
            may("priority", Shape::Text),
            may("labels", Shape::Texts),
            may("milestone", Shape::Text),
            need("uri", Shape::Named),
        ],
    ),
    (
        "ticket.updated.0.1.0",
        "ticket",
        &[
            may("summary", Shape::Text),
            may("ticketType", Shape::Text),
            may("group", Shape::Text),
            may("creator", Shape::Named),
            may("assignees", Shape::Texts),
            may("priority", Shape::Text),
            may("labels", Shape::Texts),
            may("milestone", Shape::Text),
            may("updatedBy", Shape::Text),
            need("uri", Shape::Named),
        ],
    ),
];
