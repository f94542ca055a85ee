//! Who may use the S3 server of the tests; remembers what was asked of it.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    s3_error,
};

use super::TEMPORARY_KEY;

const TOKEN: &str = "x-amz-security-token";

/// A request that was signed by somebody known.
#[derive(Debug, Clone)]
pub struct Received {
    /// What was asked for, such as `PutObject`.
    pub operation: String,
    /// The access key that has signed it.
    pub access_key_id: String,
    /// All headers.
    pub headers: HeaderMap,
}

/// All who are known may do everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Access(Arc<Mutex<Vec<Received>>>);

impl Access {
    pub(super) fn received(&self) -> Vec<Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(signer) = request.credentials() else { return Err(s3_error!(AccessDenied)) };
        let in_query = || request.uri().query().is_some_and(|query| query.contains("X-Amz-Security-Token="));
        let has_token = request.headers().get(TOKEN).map_or_else(in_query, |token| token == TEMPORARY_KEY[2]);
        if signer.access_key == TEMPORARY_KEY[0] && !has_token {
            return Err(s3_error!(InvalidToken));
        }
        let received = Received {
            operation: request.s3_op().name().to_owned(),
            access_key_id: signer.access_key.clone(),
            headers: request.headers().clone(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        Ok(())
    }
}
