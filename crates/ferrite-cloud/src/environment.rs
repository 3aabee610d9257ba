//! What the process was started with, read once, and where services are.

use std::{collections::BTreeMap, fmt};

use url::Url;

use crate::Error;

/// The environment of the process and the addresses of services.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    endpoints: BTreeMap<Service, Url>,
}

// Variables can hold keys, so their values are not shown.
impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Environment").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// A service whose address can be given. Where an SDK reads an address of the environment, so does this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// AWS Security Token Service (`AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`).
    AwsSts,
    /// AWS Elastic Container Registry (`AWS_ENDPOINT_URL_ECR`, `AWS_ENDPOINT_URL`).
    AwsEcr,
    /// AWS's public registry (`AWS_ENDPOINT_URL_ECR_PUBLIC`, `AWS_ENDPOINT_URL`).
    AwsEcrPublic,
    /// AWS Elastic Kubernetes Service (`AWS_ENDPOINT_URL_EKS`, `AWS_ENDPOINT_URL`).
    AwsEks,
    /// The metadata service of an EC2 instance (`AWS_EC2_METADATA_SERVICE_ENDPOINT`).
    AwsMetadata,
    /// Google's metadata server (`GCE_METADATA_HOST`).
    GcpMetadata,
    /// Google's Security Token Service.
    GcpSts,
    /// Google's IAM credentials service.
    GcpIamCredentials,
    /// Google Kubernetes Engine.
    GcpContainer,
    /// Google's OAuth token service.
    GcpOauth,
    /// Microsoft Entra's login service (`AZURE_AUTHORITY_HOST`).
    AzureAuthority,
    /// The metadata service of an Azure virtual machine (`AZURE_POD_IDENTITY_AUTHORITY_HOST`).
    AzureMetadata,
    /// Azure Resource Manager.
    AzureManagement,
    /// Any Azure registry, instead of `https://<registry>`.
    AzureRegistry,
}

impl Service {
    const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::AwsSts => &["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"],
            Self::AwsEcr => &["AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL"],
            Self::AwsEcrPublic => &["AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL"],
            Self::AwsEks => &["AWS_ENDPOINT_URL_EKS", "AWS_ENDPOINT_URL"],
            Self::AwsMetadata => &["AWS_EC2_METADATA_SERVICE_ENDPOINT"],
            Self::GcpMetadata => &["GCE_METADATA_HOST"],
            Self::AzureAuthority => &["AZURE_AUTHORITY_HOST"],
            Self::AzureMetadata => &["AZURE_POD_IDENTITY_AUTHORITY_HOST"],
            Self::GcpSts
            | Self::GcpIamCredentials
            | Self::GcpContainer
            | Self::GcpOauth
            | Self::AzureManagement
            | Self::AzureRegistry => &[],
        }
    }
}

impl Environment {
    /// The environment that `main` read.
    #[must_use]
    pub fn new(variables: BTreeMap<String, String>) -> Self {
        Self { variables, endpoints: BTreeMap::new() }
    }

    /// The same with the address of a service given, for tests and for clouds that are not public.
    #[must_use]
    pub fn with_endpoint(mut self, service: Service, url: Url) -> Self {
        self.endpoints.insert(service, url);
        self
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where `service` is: as given, as a variable says, or `default`.
    pub(crate) fn endpoint(&self, service: Service, default: &str) -> Result<Url, Error> {
        if let Some(url) = self.endpoints.get(&service) {
            return Ok(url.clone());
        }
        let variable = service.variables().iter().find_map(|name| Some((*name, self.get(name)?)));
        let Some((name, value)) = variable else {
            return Url::parse(default).map_err(|_| Error::invalid(format!("'{default}' is not a URL")));
        };
        // GCE_METADATA_HOST is a host, the others are URLs.
        let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        Url::parse(&text).map_err(|_| Error::invalid(format!("{name} in the environment is not a URL")))
    }
}

/// Reads a file that the environment names, at most 1 MiB of it.
pub(crate) async fn read(path: &str, what: &'static str) -> Result<Vec<u8>, Error> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        fs_err::File::open(path)?.take(1 << 20).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes: Result<Vec<u8>, std::io::Error> =
        read.await.unwrap_or_else(|_| Err(std::io::Error::other("interrupted")));
    bytes.map_err(|source| Error::File { what, source: std::sync::Arc::new(source) })
}

/// As [`read`], as text without the white space around it.
pub(crate) async fn read_text(path: &str, what: &'static str) -> Result<String, Error> {
    let bytes = read(path, what).await?;
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid(format!("the {what} is not text")))?;
    Ok(text.trim().to_owned())
}
