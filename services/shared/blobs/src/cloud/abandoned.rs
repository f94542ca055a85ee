//! Uploads in parts that nobody will finish: their process was killed.
//!
//! `object_store` knows no request for them. S3 has two, which are made here with signed URLs.
//! Google's and Azure's buckets need a rule, or remove such parts by themselves.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use heliograph_types::Timestamp;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use object_store::{
    client::{HttpClient, HttpRequestBody},
    path::Path,
    signer::{SignedUrlOptions, Signer},
};
use serde::Deserialize;

use super::config::Failure;
use crate::{Key, location::location_of};

/// How long a request may take to be sent.
const LIFETIME: Duration = Duration::from_mins(5);
/// A page of 1000 uploads, with the longest of keys.
const MOST_PAGE_BYTES: usize = 4 << 20;

/// Finds and ends such uploads in one bucket.
#[derive(Debug)]
pub(super) struct Abandoned {
    pub(super) signer: Arc<dyn Signer>,
    pub(super) client: HttpClient,
    /// Stands before every key.
    pub(super) prefix: Option<Key>,
}

/// A page of the uploads that are not finished.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    upload: Vec<Unfinished>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unfinished {
    key: String,
    upload_id: String,
    initiated: String,
}

impl Abandoned {
    /// Ends all that began before `older_than`, below a prefix or anywhere. Tells how many.
    pub(super) async fn abort(&self, prefix: Option<&Key>, older_than: Timestamp) -> Result<usize, Failure> {
        let below = [self.prefix.as_ref(), prefix].into_iter().flatten().map(|key| format!("{}/", location_of(key)));
        let below: String = below.collect();
        let mut markers = (String::new(), String::new());
        let mut aborted = 0;
        while let Some(page) = self.list(&below, &markers).await? {
            for upload in page.upload.iter().filter(|upload| upload.began_before(older_than)) {
                self.end(upload).await?;
                aborted += 1;
            }
            if !page.is_truncated {
                break;
            }
            markers = (page.next_key_marker, page.next_upload_id_marker);
        }
        Ok(aborted)
    }

    /// `None` from a store that does not tell.
    async fn list(&self, below: &str, markers: &(String, String)) -> Result<Option<Page>, Failure> {
        let (key, upload) = markers;
        let told = [("uploads", ""), ("prefix", below), ("key-marker", key), ("upload-id-marker", upload)];
        let query = told.into_iter().filter(|(name, value)| *name == "uploads" || !value.is_empty());
        let (status, body) = self.ask(Method::GET, &Path::default(), query).await?;
        match status {
            StatusCode::OK => Ok(Some(quick_xml::de::from_str(&body)?)),
            StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            status => Err(format!("{status} to a question for unfinished uploads: {body:.200}").into()),
        }
    }

    async fn end(&self, upload: &Unfinished) -> Result<(), Failure> {
        let path = Path::parse(&upload.key)?;
        let (status, body) = self.ask(Method::DELETE, &path, [("uploadId", upload.upload_id.as_str())]).await?;
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(format!("{status} to the end of an upload of {}: {body:.200}", upload.key).into())
    }

    async fn ask(
        &self,
        method: Method,
        path: &Path,
        query: impl IntoIterator<Item = (&str, &str)>,
    ) -> Result<(StatusCode, String), Failure> {
        let options = SignedUrlOptions::new().with_query(query);
        let url = self.signer.signed_url_opts(method.clone(), path, LIFETIME, &options).await?;
        let request = http::Request::builder().method(method).uri(url.as_str()).body(HttpRequestBody::empty())?;
        let (head, body) = self.client.execute(request).await?.into_parts();
        let body = Limited::new(body, MOST_PAGE_BYTES).collect().await?.to_bytes();
        Ok((head.status, String::from_utf8_lossy(&body).into_owned()))
    }
}

impl Unfinished {
    /// False too if nobody can tell.
    fn began_before(&self, time: Timestamp) -> bool {
        let began = humantime::parse_rfc3339(&self.initiated).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let began = began.and_then(|began| u64::try_from(began.as_millis()).ok());
        began.is_some_and(|began| Timestamp::from_millis(began) < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
          <Bucket>media</Bucket><KeyMarker/><UploadIdMarker/><Prefix>a/blobs/</Prefix>
          <NextKeyMarker>a/blobs/y</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>
          <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>
          <Upload><Key>a/blobs/x</Key><UploadId>1</UploadId><Initiator><ID>i</ID></Initiator>
            <StorageClass>STANDARD</StorageClass><Initiated>2026-11-20T10:00:00.000Z</Initiated></Upload>
          <Upload><Key>a/blobs/y</Key><UploadId>2</UploadId><Initiated>2026-11-20T12:00:00.000Z</Initiated></Upload>
        </ListMultipartUploadsResult>"#;

    #[test]
    fn a_page_is_read_and_only_what_is_old_is_ended() {
        let page: Page = quick_xml::de::from_str(PAGE).unwrap();
        let eleven = Timestamp::from_millis(1_795_172_400_000);

        let old: Vec<&str> = page
            .upload
            .iter()
            .filter(|upload| upload.began_before(eleven))
            .map(|upload| upload.upload_id.as_str())
            .collect();

        assert_eq!(old, ["1"]);
        assert!(page.is_truncated);
        assert_eq!((page.next_key_marker.as_str(), page.next_upload_id_marker.as_str()), ("a/blobs/y", "2"));
        let empty: Page = quick_xml::de::from_str("<ListMultipartUploadsResult/>").unwrap();
        assert!(empty.upload.is_empty() && !empty.is_truncated);
    }
}
