//! URLs to one blob of an Azure container (service SAS), for downloads.
//!
//! Those of `object_store` fix no headers of the answer, and nobody may be shown a file as what
//! its uploader said that it is.
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas>

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use heliograph_types::{Clock, Secret, SystemClock, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use object_store::{
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    path::Path,
};
use sha2::Sha256;
use url::Url;

use super::config::Failure;

/// What is signed, and in which order, depends on it.
const VERSION: &str = "2023-11-03";
const READ: &str = "r";
const BLOB: &str = "b";

/// Signs with the key of an account.
#[derive(Debug, Clone)]
pub(super) struct AzureSigner {
    account: String,
    container: String,
    key: Secret<Vec<u8>>,
    /// Where others find the account.
    endpoint: Url,
}

/// The headers of the answer.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a> {
    pub(super) content_type: &'a str,
    pub(super) disposition: &'a str,
}

impl AzureSigner {
    /// From what is known of a container; `None` without the key of its account, such as on a
    /// machine with an identity of its own.
    pub(super) fn of(builder: &MicrosoftAzureBuilder) -> Result<Option<Self>, Failure> {
        let told = |key| builder.get_config_value(&key);
        let keys = (told(AzureConfigKey::AccountName), told(AzureConfigKey::AccessKey));
        let (Some(account), Some(key)) = keys else { return Ok(None) };
        let endpoint = match told(AzureConfigKey::Endpoint) {
            Some(endpoint) => endpoint.parse()?,
            None => format!("https://{account}.blob.core.windows.net").parse()?,
        };
        let key = BASE64_STANDARD.decode(key).map_err(|_| "the access key of the account is not base64")?;
        let container = told(AzureConfigKey::ContainerName).unwrap_or_default();
        Ok(Some(Self { account, container, key: Secret::new(key), endpoint }))
    }

    /// A URL that reads the blob for this time.
    pub(super) fn sign(&self, blob: &Path, headers: Headers<'_>, lifetime: Duration) -> Result<Url, Failure> {
        self.sign_until(blob, headers, SystemClock.now() + lifetime)
    }

    fn sign_until(&self, blob: &Path, headers: Headers<'_>, end: Timestamp) -> Result<Url, Failure> {
        let end = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(end.as_millis())).to_string();
        let protocols = if self.endpoint.scheme() == "https" { "https" } else { "https,http" };
        let signature = self.signature(&self.string_to_sign(blob, headers, &end, protocols))?;
        let mut url = self.url_of(blob)?;
        url.query_pairs_mut().extend_pairs([
            ("sv", VERSION),
            ("sp", READ),
            ("se", &end),
            ("spr", protocols),
            ("sr", BLOB),
            ("rscd", headers.disposition),
            ("rsct", headers.content_type),
            ("sig", &signature),
        ]);
        Ok(url)
    }

    /// Every field has its line, used or not.
    fn string_to_sign(&self, blob: &Path, headers: Headers<'_>, end: &str, protocols: &str) -> String {
        let Self { account, container, .. } = self;
        let resource = format!("/blob/{account}/{container}/{blob}");
        let (no_start, no_policy, no_addresses, no_snapshot, no_scope) = ("", "", "", "", "");
        let (no_cache_control, no_encoding, no_language) = ("", "", "");
        [
            READ,
            no_start,
            end,
            &resource,
            no_policy,
            no_addresses,
            protocols,
            VERSION,
            BLOB,
            no_snapshot,
            no_scope,
            no_cache_control,
            headers.disposition,
            no_encoding,
            no_language,
            headers.content_type,
        ]
        .join("\n")
    }

    fn signature(&self, text: &str) -> Result<String, Failure> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose())?;
        mac.update(text.as_bytes());
        Ok(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }

    fn url_of(&self, blob: &Path) -> Result<Url, Failure> {
        let mut url = self.endpoint.clone();
        let mut segments = url.path_segments_mut().map_err(|()| "no blob can be below this endpoint")?;
        segments.pop_if_empty().push(&self.container).extend(blob.as_ref().split('/'));
        drop(segments);
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c2VjcmV0";

    fn builder() -> MicrosoftAzureBuilder {
        MicrosoftAzureBuilder::new().with_account("ours").with_container_name("media").with_access_key(KEY)
    }

    fn signed(builder: &MicrosoftAzureBuilder, blob: &str) -> Url {
        let signer = AzureSigner::of(builder).unwrap().unwrap();
        let headers = Headers { content_type: "image/png", disposition: "inline; filename=\"a b.png\"" };
        signer.sign_until(&Path::from(blob), headers, Timestamp::from_millis(1_800_000_000_123)).unwrap()
    }

    fn value(url: &Url, name: &str) -> String {
        url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
    }

    #[test]
    fn a_url_says_what_it_is_for_and_how_long() {
        let url = signed(&builder(), "blobs/a");

        assert!(url.as_str().starts_with("https://ours.blob.core.windows.net/media/blobs/a?"), "{url}");
        for (name, expected) in [
            ("sp", "r"),
            ("se", "2027-01-15T08:00:00Z"),
            ("spr", "https"),
            ("rscd", "inline; filename=\"a b.png\""),
            ("rsct", "image/png"),
            // Made with another program from the same text.
            ("sig", "SGljTSrDnnsrg9jvDtQ5YJjxfhNwDvoAVDwqNo6LXN8="),
        ] {
            assert_eq!(value(&url, name), expected, "{name}");
        }
    }

    #[test]
    fn names_are_encoded_once_more_in_a_url() {
        let here = builder().with_endpoint("http://127.0.0.1:1/ours".to_owned()).with_allow_http(true);

        let url = signed(&here, "[::1]:80/a");

        assert!(url.as_str().starts_with("http://127.0.0.1:1/ours/media/%255B::1%255D:80/a?"), "{url}");
        assert_eq!(value(&url, "spr"), "https,http");
    }

    #[test]
    fn without_a_key_there_are_no_urls_and_no_key_is_shown() {
        let without = MicrosoftAzureBuilder::new().with_account("ours").with_container_name("media");

        assert!(AzureSigner::of(&without).unwrap().is_none());
        let told = format!("{:?}", AzureSigner::of(&builder()).unwrap());
        assert!(!told.contains("115, 101") && !told.contains(KEY), "{told}");
        assert!(AzureSigner::of(&builder().with_access_key("%")).is_err());
    }
}
