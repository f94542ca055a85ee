//! From settings to a client of a bucket.
//!
//! What the settings do not say, the environment does (`AWS_*`, `GOOGLE_*`, `AZURE_*`), and
//! without keys there, the identity that the cloud gives.

use std::{path::Path, sync::Arc, time::Duration};

use heliograph_types::Secret;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    client::HttpConnector,
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    prefix::PrefixStore,
};
use tokio::runtime::Handle;
use url::Url;

use super::{
    abandoned::Abandoned,
    connector::Connector,
    sas::AzureSigner,
    sign::{Signs, UrlSigner},
};
use crate::{Bucket, Cloud, StorageConfig, config::ServerSideEncryption, location::location_of};

/// After this nothing is tried again: who waits has given up by then.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// The pauses between tries.
const PAUSES: BackoffConfig =
    BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
/// Servers close their ends after a minute or so; we are to be first.
const IDLE_FOR: Duration = Duration::from_secs(45);

/// Where others find Google's buckets.
const GOOGLE: &str = "https://storage.googleapis.com";

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A client of the bucket, whose keys begin after its prefix. Nothing is asked of it yet.
pub(super) fn build(
    bucket: &Bucket,
    config: &StorageConfig,
    runtime: &Handle,
) -> Result<Arc<dyn ObjectStore>, Failure> {
    // The client takes the one of the process. An error means that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let objects: Arc<dyn ObjectStore> = match bucket.cloud {
        Cloud::S3 => Arc::new(s3(bucket, config, runtime)?.build()?),
        Cloud::Google => Arc::new(google(bucket, config, runtime)?.build()?),
        Cloud::Azure => Arc::new(azure(bucket, config, runtime)?.build()?),
    };
    Ok(match &bucket.prefix {
        None => objects,
        Some(prefix) => Arc::new(PrefixStore::new(objects, location_of(prefix))),
    })
}

/// Signs URLs of the bucket, for where others find it. Nothing is asked of it yet.
pub(super) fn build_signer(bucket: &Bucket, config: &StorageConfig, runtime: &Handle) -> Result<UrlSigner, Failure> {
    let endpoint = config.public_endpoint.clone().or_else(|| config.endpoint.clone());
    let config = &StorageConfig { endpoint, ..config.clone() };
    let signs = match bucket.cloud {
        Cloud::S3 => Signs::S3(Arc::new(s3(bucket, config, runtime)?.build()?)),
        // The library signs for this host, whatever the endpoint.
        Cloud::Google => Signs::Google(Arc::new(google(bucket, config, runtime)?.with_base_url(GOOGLE).build()?)),
        Cloud::Azure => AzureSigner::of(&azure(bucket, config, runtime)?)?.map_or(Signs::Nobody, Signs::Azure),
    };
    Ok(UrlSigner { signs, prefix: bucket.prefix.clone() })
}

/// Finds what killed writers have left, where that can be asked for. Nothing is asked of it yet.
pub(super) fn build_abandoned(
    bucket: &Bucket,
    config: &StorageConfig,
    runtime: &Handle,
) -> Result<Option<Abandoned>, Failure> {
    if bucket.cloud != Cloud::S3 {
        return Ok(None);
    }
    let signer = Arc::new(s3(bucket, config, runtime)?.build()?);
    let client = Connector(runtime.clone()).connect(&client(config)?)?;
    Ok(Some(Abandoned { signer, client, prefix: bucket.prefix.clone() }))
}

/// Whether there are keys in the settings or the environment; else the cloud is asked who we are.
pub(super) fn has_keys(bucket: &Bucket, config: &StorageConfig, runtime: &Handle) -> Result<bool, Failure> {
    use AzureConfigKey::{AccessKey, ClientSecret, SasKey, Token};
    use GoogleConfigKey::{ApplicationCredentials, ServiceAccount, ServiceAccountKey};
    Ok(match bucket.cloud {
        Cloud::S3 => s3(bucket, config, runtime)?.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some(),
        Cloud::Azure => {
            let builder = azure(bucket, config, runtime)?;
            let keys = [AccessKey, ClientSecret, SasKey, Token];
            keys.iter().any(|key| builder.get_config_value(key).is_some())
        }
        Cloud::Google => {
            let builder = google(bucket, config, runtime)?;
            let keys = [ApplicationCredentials, ServiceAccount, ServiceAccountKey];
            keys.iter().any(|key| builder.get_config_value(key).is_some())
        }
    })
}

fn s3(bucket: &Bucket, config: &StorageConfig, runtime: &Handle) -> Result<AmazonS3Builder, Failure> {
    let secret = |secret: &Option<Secret<String>>| secret.as_ref().map(|secret| secret.expose().clone());
    let encryption = config.server_side_encryption.map(|encryption| match encryption {
        ServerSideEncryption::Aes256 => "AES256".to_owned(),
        ServerSideEncryption::Kms => "aws:kms".to_owned(),
    });
    let options = [
        (AmazonS3ConfigKey::Endpoint, endpoint(config)),
        (AmazonS3ConfigKey::Region, config.region.clone()),
        (AmazonS3ConfigKey::AccessKeyId, secret(&config.access_key_id)),
        (AmazonS3ConfigKey::SecretAccessKey, secret(&config.secret_access_key)),
        (AmazonS3ConfigKey::Token, secret(&config.session_token)),
        ("aws_server_side_encryption".parse()?, encryption),
        ("aws_sse_kms_key_id".parse()?, config.kms_key_id.clone()),
    ];
    // A token of the environment belongs to the key of the environment.
    let begin = if config.access_key_id.is_some() { without_keys() } else { AmazonS3Builder::from_env() };
    let builder = options.into_iter().fold(begin, |builder, (key, value)| match value {
        Some(value) => builder.with_config(key, value),
        None => builder,
    });
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    // A certificate for `*.host` is none for `a.b.host`.
    let in_path = config.path_style || (endpoint.is_none() && bucket.name.contains('.'));
    let builder = match endpoint {
        Some(endpoint) if !in_path => builder.with_endpoint(before_host(&bucket.name, &endpoint)?),
        _ => builder,
    };
    Ok(builder
        .with_bucket_name(&bucket.name)
        .with_virtual_hosted_style_request(!in_path)
        // One request per object is what every store of this kind knows.
        .with_disable_bulk_delete(true)
        .with_retry(retries(config))
        .with_client_options(client(config)?)
        .with_http_connector(Connector(runtime.clone())))
}

fn google(bucket: &Bucket, config: &StorageConfig, runtime: &Handle) -> Result<GoogleCloudStorageBuilder, Failure> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&bucket.name);
    if let Some(endpoint) = endpoint(config) {
        builder = builder.with_base_url(&endpoint);
    }
    if let Some(file) = &config.service_account_file {
        builder = builder.with_service_account_path(file.to_str().ok_or("the path of the key file is no Unicode")?);
    }
    Ok(builder
        .with_retry(retries(config))
        .with_client_options(client(config)?)
        .with_http_connector(Connector(runtime.clone())))
}

fn azure(bucket: &Bucket, config: &StorageConfig, runtime: &Handle) -> Result<MicrosoftAzureBuilder, Failure> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(&bucket.name);
    if let Some(endpoint) = endpoint(config) {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(account) = &config.account {
        builder = builder.with_account(account);
    }
    if let Some(key) = &config.access_key {
        builder = builder.with_access_key(key.expose());
    }
    Ok(builder
        .with_retry(retries(config))
        .with_client_options(client(config)?)
        .with_http_connector(Connector(runtime.clone())))
}

/// Without the slash at the end that URLs have.
fn endpoint(config: &StorageConfig) -> Option<String> {
    config.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned())
}

/// The endpoint with the bucket before its host name, as `object_store` wants it.
fn before_host(bucket: &str, endpoint: &str) -> Result<String, Failure> {
    let mut url: Url = endpoint.parse()?;
    let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
    url.set_host(Some(&host))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn retries(config: &StorageConfig) -> RetryConfig {
    RetryConfig { backoff: PAUSES, max_retries: config.retries, retry_timeout: RETRY_FOR }
}

fn client(config: &StorageConfig) -> Result<ClientOptions, Failure> {
    let options = ClientOptions::new()
        .with_allow_http(config.allow_http)
        // Of a whole request, with its body: a large file to a slow client takes its time.
        .with_timeout_disabled()
        .with_connect_timeout(config.connect_timeout)
        .with_read_timeout(config.read_timeout)
        .with_pool_idle_timeout(IDLE_FOR)
        .with_pool_max_idle_per_host(config.max_idle_connections);
    let authorities = config.ca_file.as_deref().map(read_authorities).transpose()?.unwrap_or_default();
    Ok(authorities.into_iter().fold(options, ClientOptions::with_root_certificate))
}

/// Whether a file can be `storage.ca_file`.
pub(crate) fn check_authorities(path: &Path) -> Result<(), String> {
    read_authorities(path).map(drop).map_err(|error| error.to_string())
}

fn read_authorities(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let told = |error: Failure| format!("{}: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| told(error.into()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| told(error.into()))?;
    if found.is_empty() { Err(told("there is no certificate in it".into()).into()) } else { Ok(found) }
}

/// What the environment says, but for its keys.
fn without_keys() -> AmazonS3Builder {
    use AmazonS3ConfigKey as Setting;
    let environment = AmazonS3Builder::from_env();
    [Setting::Endpoint, Setting::Region, Setting::DefaultRegion].into_iter().fold(
        AmazonS3Builder::new(),
        |builder, key| match environment.get_config_value(&key) {
            Some(value) => builder.with_config(key, value),
            None => builder,
        },
    )
}

#[cfg(test)]
mod tests {
    use object_store::aws::AmazonS3ConfigKey as S3;

    use super::*;

    fn config() -> StorageConfig {
        StorageConfig::default()
    }

    fn bucket(cloud: Cloud, name: &str) -> Bucket {
        Bucket { cloud, name: name.to_owned(), prefix: None }
    }

    fn told(config: &StorageConfig, name: &str, key: S3) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        s3(&bucket(Cloud::S3, name), config, runtime.handle()).unwrap().get_config_value(&key)
    }

    #[test]
    fn the_bucket_stands_before_the_host_or_in_the_path() {
        let endpoint = Some("https://s3.example.org:9000".parse().unwrap());
        let before = StorageConfig { endpoint: endpoint.clone(), ..config() };
        let within = StorageConfig { endpoint, path_style: true, ..config() };

        assert_eq!(told(&before, "media", S3::Endpoint).unwrap(), "https://media.s3.example.org:9000");
        assert_eq!(told(&before, "media", S3::VirtualHostedStyleRequest).unwrap(), "true");
        assert_eq!(told(&within, "media", S3::Endpoint).unwrap(), "https://s3.example.org:9000");
        assert_eq!(told(&within, "media", S3::VirtualHostedStyleRequest).unwrap(), "false");
    }

    #[test]
    fn a_bucket_with_dots_has_no_certificate_of_its_own() {
        assert_eq!(told(&config(), "media", S3::VirtualHostedStyleRequest).unwrap(), "true");
        assert_eq!(told(&config(), "my.media", S3::VirtualHostedStyleRequest).unwrap(), "false");
    }

    #[test]
    fn keys_and_encryption_are_passed_on() {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let config = StorageConfig {
            access_key_id: secret("id"),
            secret_access_key: secret("key"),
            server_side_encryption: Some(ServerSideEncryption::Kms),
            kms_key_id: Some("arn".to_owned()),
            region: Some("eu-north-1".to_owned()),
            ..config()
        };

        for (key, value) in [
            (S3::AccessKeyId, "id"),
            (S3::SecretAccessKey, "key"),
            (S3::Region, "eu-north-1"),
            ("aws_server_side_encryption".parse().unwrap(), "aws:kms"),
            ("aws_sse_kms_key_id".parse().unwrap(), "arn"),
        ] {
            assert_eq!(told(&config, "media", key).as_deref(), Some(value));
        }
        assert_eq!(told(&config, "media", S3::Token), None);
    }

    #[tokio::test]
    async fn every_cloud_can_be_built() {
        let key = Some(Secret::new("a2V5".to_owned()));
        let azure = StorageConfig {
            account: Some("devstoreaccount1".to_owned()),
            access_key: key,
            endpoint: Some("http://127.0.0.1:10000/devstoreaccount1".parse().unwrap()),
            allow_http: true,
            ..config()
        };

        for (cloud, config) in [(Cloud::S3, config()), (Cloud::Google, config()), (Cloud::Azure, azure)] {
            let prefix = Some(crate::Key::new("a/b").unwrap());
            let bucket = Bucket { prefix, ..bucket(cloud, "media") };
            let built = build(&bucket, &config, &Handle::current());
            assert!(built.unwrap().to_string().contains("a/b"));
        }
    }

    #[tokio::test]
    async fn files_that_cannot_be_used_are_told() {
        let told = |config: &StorageConfig, cloud| {
            build(&bucket(cloud, "media"), config, &Handle::current()).unwrap_err().to_string()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty");
        std::fs::write(&file, "").unwrap();

        let missing = StorageConfig { ca_file: Some(folder.path().join("none")), ..config() };
        let empty = StorageConfig { ca_file: Some(file.clone()), ..config() };
        let no_key = StorageConfig { service_account_file: Some(file), ..config() };

        assert!(told(&missing, Cloud::S3).contains("/none: "), "{}", told(&missing, Cloud::S3));
        assert!(told(&empty, Cloud::S3).contains("there is no certificate in it"));
        assert!(!told(&no_key, Cloud::Google).is_empty());
    }
}
