//! Settings of the store.

mod bucket;
mod further;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use heliograph_settings::{Setting, toml::Value};
use heliograph_types::Secret;
use url::Url;

pub use self::{
    bucket::{Bucket, Cloud},
    further::StoreConfig,
};

/// No store takes smaller parts, but for the last of a blob.
const LEAST_PART: ByteSize = ByteSize::mib(5);
/// No store takes larger parts.
const MOST_PART: ByteSize = ByteSize::gib(5);
/// No blob in a bucket has more parts.
const MOST_PARTS: u64 = 10_000;

heliograph_settings::choice! {
    /// How a bucket encrypts what it keeps.
    pub enum ServerSideEncryption {
        /// With keys that it manages itself.
        Aes256 = "AES256",
        /// With a key of its key management service.
        Kms = "aws:kms",
    }
}

heliograph_settings::choice! {
    /// Who decides which of several concurrent creates of one object wins.
    pub enum ConditionalCreate {
        /// The store, if a trial at start shows that it can; else a lease.
        Probe = "probe",
        /// The store.
        Trust = "trust",
        /// A lease.
        Never = "never",
    }
}

heliograph_settings::settings! {
    /// Where bytes and records are kept.
    pub struct StorageConfig {
        /// The store: a folder, such as `file:///var/lib/heliograph/media`, or a bucket:
        /// `s3://bucket`, `gs://bucket` or `az://container`, each also with a prefix for all
        /// keys, such as `s3://bucket/media`. Without it, the folder `media` below the data
        /// folder. Processes that share a bucket must share `state.redis_url` too.
        pub url: Option<StoreUrl> = None,
        /// How much is read from a folder at once while a file is sent, and eight times as much
        /// for a client that takes a gigabit per second. One that is slow holds up to two such
        /// pieces in memory.
        pub read_chunk_size: ByteSize = ByteSize::kib(32),
        /// How much of an upload is collected before it is written to a folder. Each upload in
        /// progress holds up to two such pieces in memory.
        pub write_chunk_size: ByteSize = ByteSize::mib(1),
        /// How much of an upload is sent to a bucket at once: a smaller file is one request, a
        /// larger one is sent in parts of this size, 10,000 at most. From 5 MiB to 5 GiB.
        pub part_size: ByteSize = ByteSize::mib(8),
        /// How many parts of one upload are under way to a bucket at the same time. Each upload
        /// in progress holds up to one part more than that in memory.
        pub part_concurrency: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1),
        /// Where the bucket is, such as `https://minio.example.org`. Without it, the public
        /// address of S3, of Google or of the Azure account.
        pub endpoint: Option<Url> = None,
        /// Where clients and other servers find the bucket, if that is another address than
        /// ours: URLs for uploads to it and downloads from it are made for this one. Google's are
        /// always for `storage.googleapis.com`.
        pub public_endpoint: Option<Url> = None,
        /// Whether the endpoint may be reached without TLS: everything can be read on the way
        /// then, but for the secret key.
        pub allow_http: bool = false,
        /// A file with certificate authorities (PEM) that the endpoint may use besides those of
        /// the system.
        pub ca_file: Option<PathBuf> = None,
        /// The region of an S3 bucket. Without it, `AWS_REGION`, else `us-east-1`.
        pub region: Option<String> = None,
        /// The access key of an S3 bucket. Without it, `AWS_ACCESS_KEY_ID`, else the identity
        /// that the cloud gives: to a service account of Kubernetes
        /// (`AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`, or
        /// `AWS_CONTAINER_CREDENTIALS_FULL_URI` with `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`), to
        /// a container (`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`), or to the machine, which is
        /// asked at `AWS_METADATA_ENDPOINT`, else at `169.254.169.254`. Such keys are fetched
        /// anew before they expire; a URL that was signed with one works no longer than it.
        /// Google's and Azure's buckets have settings of their own below, then `GOOGLE_*` and
        /// `AZURE_*`, and their own identities of machines.
        pub access_key_id: Option<Secret<String>> = None,
        /// The secret that belongs to `access_key_id`.
        pub secret_access_key: Option<Secret<String>> = None,
        /// The token that belongs to a temporary `access_key_id`.
        pub session_token: Option<Secret<String>> = None,
        /// Whether the name of an S3 bucket stands in the path of the endpoint and not before
        /// its host name. Most stores that are not Amazon's want this.
        pub path_style: bool = false,
        /// How an S3 bucket is to encrypt what it keeps: with keys of its own (`AES256`) or of
        /// its key management service (`aws:kms`). Without it, as the bucket is configured.
        pub server_side_encryption: Option<ServerSideEncryption> = None,
        /// The key that `aws:kms` takes. Without it, the one of the account.
        pub kms_key_id: Option<String> = None,
        /// The storage account of an Azure container. Without it,
        /// `AZURE_STORAGE_ACCOUNT_NAME`.
        pub account: Option<String> = None,
        /// The access key of the Azure account. Without it, `AZURE_STORAGE_ACCOUNT_KEY`, else the
        /// identity of this machine or service account: then nobody is sent to the container for
        /// a download, as URLs to it are signed with this key.
        pub access_key: Option<Secret<String>> = None,
        /// The file with the key of a Google service account. Without it, the one that
        /// `GOOGLE_APPLICATION_CREDENTIALS` names, else the identity of this machine: then each
        /// URL that a client gets costs a request to Google, which signs it.
        pub service_account_file: Option<PathBuf> = None,
        /// How long it may take to connect to a bucket.
        pub connect_timeout: Duration = Duration::from_secs(5),
        /// How long a bucket may stay silent: until its answer begins, which is after all of a
        /// part has been sent, and between any two pieces of an answer. The whole of a download
        /// may take as long as it likes.
        pub read_timeout: Duration = Duration::from_secs(30),
        /// How often a request to a bucket that failed is tried again, within 10 seconds.
        pub retries: usize = 3,
        /// Connections to a bucket that are kept for the next request. More are opened when
        /// they are needed.
        pub max_idle_connections: usize = 64,
        /// Who decides which of several concurrent creates of one record wins. `probe` tries at
        /// start whether the bucket does, and has a lease decide if it does not; `trust` and
        /// `never` spare the trial. Never `trust` a store of which that is not known: Garage
        /// ignores the condition, others check first and write then.
        pub conditional_create: ConditionalCreate = ConditionalCreate::Probe,
    }
}

impl StorageConfig {
    /// Settings that do not go together: the field, and what is wrong.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = self.misplaced();
        if self.part_size < LEAST_PART || self.part_size > MOST_PART {
            found.push(("part_size", format!("must be from 5 MiB to 5 GiB, not {}", self.part_size)));
        }
        let mut needs = |field, needed: bool, message: &str| {
            if needed {
                found.push((field, message.to_owned()));
            }
        };
        let (id, secret) = (self.access_key_id.is_some(), self.secret_access_key.is_some());
        needs("secret_access_key", id && !secret, "is required with access_key_id");
        needs("access_key_id", secret && !id, "is required with secret_access_key");
        needs("session_token", self.session_token.is_some() && !id && !secret, "needs access_key_id");
        let is_kms = self.server_side_encryption == Some(ServerSideEncryption::Kms);
        let message = "needs server_side_encryption = \"aws:kms\"";
        needs("kms_key_id", self.kms_key_id.is_some() && !is_kms, message);
        needs("account", self.access_key.is_some() && self.account.is_none(), "is required with access_key");
        let endpoints = [("endpoint", &self.endpoint), ("public_endpoint", &self.public_endpoint)];
        found.extend(endpoints.into_iter().filter_map(|(field, url)| self.check_endpoint(field, url.as_ref()?)));
        found
    }

    /// Files that are named but cannot be used: the field, and what is wrong.
    pub fn unusable_files(&self) -> Vec<(&'static str, String)> {
        let authorities = self.ca_file.as_deref().map(crate::cloud::check_authorities);
        let key = self.service_account_file.as_deref().map(|path| {
            let read = std::fs::read(path).map(drop);
            read.map_err(|error| format!("{}: {error}", path.display()))
        });
        let files = [("ca_file", authorities), ("service_account_file", key)];
        files.into_iter().filter_map(|(field, checked)| Some((field, checked?.err()?))).collect()
    }

    /// The largest blob that parts of this size can make.
    pub const fn most_blob_bytes(&self) -> u64 {
        self.part_size.as_u64().saturating_mul(MOST_PARTS)
    }

    /// The bucket, if the store is one.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.url.as_ref().and_then(StoreUrl::bucket)
    }

    /// The folder, if the store is one.
    pub fn folder(&self, data_folder: &Path) -> Option<PathBuf> {
        match &self.url {
            None => Some(data_folder.join("media")),
            Some(url) => url.folder().map(Path::to_owned),
        }
    }

    /// What is set for another store than the one that there is.
    fn misplaced(&self) -> Vec<(&'static str, String)> {
        const ANY: &[Cloud] = &[Cloud::S3, Cloud::Google, Cloud::Azure];
        const S3: &[Cloud] = &[Cloud::S3];
        let settings = [
            ("endpoint", self.endpoint.is_some(), ANY),
            ("public_endpoint", self.public_endpoint.is_some(), &[Cloud::S3, Cloud::Azure]),
            ("allow_http", self.allow_http, ANY),
            ("ca_file", self.ca_file.is_some(), ANY),
            ("region", self.region.is_some(), S3),
            ("access_key_id", self.access_key_id.is_some(), S3),
            ("secret_access_key", self.secret_access_key.is_some(), S3),
            ("session_token", self.session_token.is_some(), S3),
            ("path_style", self.path_style, S3),
            ("server_side_encryption", self.server_side_encryption.is_some(), S3),
            ("kms_key_id", self.kms_key_id.is_some(), S3),
            ("account", self.account.is_some(), &[Cloud::Azure]),
            ("access_key", self.access_key.is_some(), &[Cloud::Azure]),
            ("service_account_file", self.service_account_file.is_some(), &[Cloud::Google]),
        ];
        let cloud = self.bucket().map(|bucket| bucket.cloud);
        let misplaced = |clouds: &[Cloud]| cloud.is_none_or(|cloud| !clouds.contains(&cloud));
        let message = |clouds: &[Cloud]| {
            let schemes: Vec<String> = clouds.iter().map(|cloud| format!("{}://", cloud.scheme())).collect();
            format!("is only for a store in {}, see url", schemes.join(" or "))
        };
        let settings = settings.into_iter().filter(|(_, is_set, clouds)| *is_set && misplaced(clouds));
        settings.map(|(field, _, clouds)| (field, message(clouds))).collect()
    }

    fn check_endpoint(&self, field: &'static str, url: &Url) -> Option<(&'static str, String)> {
        let message = match url.scheme() {
            "https" | "http" if self.needs_path_style(url) => {
                format!("{url} has no names of buckets before it: set path_style = true")
            }
            "https" => return None,
            "http" if self.allow_http => return None,
            "http" => format!("{url} is not encrypted: use https://, or set allow_http = true"),
            _ => format!("must begin with https:// or http://, not {url}"),
        };
        Some((field, message))
    }

    fn needs_path_style(&self, url: &Url) -> bool {
        let is_s3 = self.bucket().is_some_and(|bucket| bucket.cloud == Cloud::S3);
        is_s3 && !self.path_style && !matches!(url.host(), Some(url::Host::Domain(_)))
    }
}

/// The URL of a store: an absolute folder, or a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl {
    text: String,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    Bucket(Bucket),
}

impl StoreUrl {
    /// The folder, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Bucket(_) => None,
        }
    }

    /// The bucket, if it is one.
    pub const fn bucket(&self) -> Option<&Bucket> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Bucket(bucket) => Some(bucket),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let place = match Bucket::parse(text) {
            Some(bucket) => Place::Bucket(bucket),
            None => Place::Folder(parse_folder(text)?),
        };
        Some(Self { text: text.to_owned(), place })
    }
}

fn parse_folder(text: &str) -> Option<PathBuf> {
    // A URL knows no relative paths: it would take `file:media` for `/media`.
    if !text.starts_with("file:///") {
        return None;
    }
    let url: Url = text.parse().ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    url.to_file_path().ok().filter(|_| is_plain)
}

impl Setting for StoreUrl {
    fn read(value: &Value) -> Result<Self, String> {
        let url = value.as_str().and_then(Self::parse);
        url.ok_or_else(|| format!("must be {}, not {value}", Self::kind()))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.text.clone()))
    }

    fn kind() -> String {
        "an absolute folder such as \"file:///var/lib/heliograph/media\", or a bucket such as \"s3://bucket/prefix\", \
         \"gs://bucket\" or \"az://container\""
            .to_owned()
    }
}

#[cfg(test)]
mod tests;
