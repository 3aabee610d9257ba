//! Whom to tell of events.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Duration, LocalObjectReference, schema};

/// Whom to tell of events, and how.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1beta3",
    kind = "Provider",
    doc = "A service that is told of events.",
    namespaced,
    schema = "disabled",
    derive = "PartialEq",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json!([
    {
        "rule": "self.type == 'github' || self.type == 'gitlab' || self.type == 'gitea' || self.type == 'bitbucketserver' || self.type == 'bitbucket' || self.type == 'azuredevops' || !has(self.commitStatusExpr)",
        "message": "spec.commitStatusExpr is only supported for the 'github', 'gitlab', 'gitea', 'bitbucketserver', 'bitbucket', 'azuredevops' provider types",
    },
])))]
pub struct ProviderSpec {
    /// Which service it is.
    #[serde(rename = "type")]
    pub kind: ProviderType,
    /// Where it is; for some a project or a namespace. The Secret may hold it instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub address: Option<String>,
    /// Channel to post to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub channel: Option<String>,
    /// Name to post under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub username: Option<String>,
    /// A Secret with `token`, `address`, `username`, `password`, `headers` or what the service needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// A Secret with `ca.crt`, `tls.crt` and `tls.key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// A Secret with the proxy's `address`, `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// Deprecated: address of a proxy; use `proxySecretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), extend("pattern" = "^(http|https)://.*$"))]
    pub proxy: Option<String>,
    /// The ServiceAccount to get cloud credentials for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// CEL for the name of a commit status, over `event`, `alert` and `provider`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_status_expr: Option<String>,
    /// Time that sending may take; 15s when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = schema::TIMEOUT))]
    pub timeout: Option<Duration>,
    /// Deprecated: not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Whether to tell nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

wire_enum! {
    /// Services that can be told of events.
    pub enum ProviderType {
        /// Slack.
        Slack = "slack",
        /// Discord.
        Discord = "discord",
        /// Microsoft Teams.
        MsTeams = "msteams",
        /// Rocket.Chat.
        Rocket = "rocket",
        /// A webhook.
        Generic = "generic",
        /// A webhook, with a signature.
        GenericHmac = "generic-hmac",
        /// Commit statuses of GitHub.
        GitHub = "github",
        /// Commit statuses of GitLab.
        GitLab = "gitlab",
        /// Commit statuses of Gitea.
        Gitea = "gitea",
        /// Comments on pull requests of Gitea.
        GiteaPullRequestComment = "giteapullrequestcomment",
        /// Build statuses of Bitbucket Server.
        BitbucketServer = "bitbucketserver",
        /// Build statuses of Bitbucket.
        Bitbucket = "bitbucket",
        /// Commit statuses of Azure DevOps.
        AzureDevOps = "azuredevops",
        /// Google Chat.
        GoogleChat = "googlechat",
        /// Google Pub/Sub.
        GooglePubSub = "googlepubsub",
        /// Webex.
        Webex = "webex",
        /// Sentry.
        Sentry = "sentry",
        /// Azure Event Hubs.
        AzureEventHub = "azureeventhub",
        /// Telegram.
        Telegram = "telegram",
        /// Lark.
        Lark = "lark",
        /// Matrix.
        Matrix = "matrix",
        /// Opsgenie.
        Opsgenie = "opsgenie",
        /// Prometheus Alertmanager.
        Alertmanager = "alertmanager",
        /// Annotations of Grafana.
        Grafana = "grafana",
        /// Dispatch events of GitHub.
        GitHubDispatch = "githubdispatch",
        /// Comments on pull requests of GitHub.
        GitHubPullRequestComment = "githubpullrequestcomment",
        /// Comments on merge requests of GitLab.
        GitLabMergeRequestComment = "gitlabmergerequestcomment",
        /// PagerDuty.
        PagerDuty = "pagerduty",
        /// Datadog.
        Datadog = "datadog",
        /// NATS.
        Nats = "nats",
        /// Zulip.
        Zulip = "zulip",
        /// Traces of OpenTelemetry.
        Otel = "otel",
        /// E-mail; not known to Flux.
        Smtp = "smtp",
        /// Zoom.
        Zoom = "zoom",
        /// incident.io.
        IncidentIo = "incident.io",
    }
}
