//! The bucket, by a URL that is signed for it.

use std::sync::Arc;

use async_trait::async_trait;
use heliograph_blobs::{BlobError, BlobStore, Grant};
use url::Url;

use super::target::{Asking, Life, Reason, Redirected, Target};

/// The bucket as a target.
pub(super) struct Store {
    pub(super) blobs: Arc<dyn BlobStore>,
    /// Whether a gateway in front of it makes up for what it lacks.
    pub(super) is_guarded: bool,
}

/// Why a bucket is no target, if it is none. By itself it adds no security headers, and refuses
/// whoever shows a token besides the signature of the URL.
pub(super) fn bucket_refusal(is_guarded: bool, asking: Asking, what: &Redirected<'_>) -> Option<Reason> {
    if what.key.is_none() {
        return Some(Reason::NoUrl);
    }
    if is_guarded {
        return None;
    }
    if asking.sends_authorization {
        return Some(Reason::Authorization);
    }
    what.is_shown().then_some(Reason::Shown)
}

#[async_trait]
impl Target for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn refusal(&self, asking: Asking, what: &Redirected<'_>) -> Option<Reason> {
        // The method is part of what is signed.
        if asking.is_head {
            return Some(Reason::Head);
        }
        bucket_refusal(self.is_guarded, asking, what)
    }

    async fn url(&self, what: &Redirected<'_>, life: Life) -> Result<Option<Url>, BlobError> {
        let Some(key) = &what.key else { return Ok(None) };
        let grant = Grant::Get { content_type: what.content_type, disposition: what.disposition };
        self.blobs.presign(key, grant, life.lifetime).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect::testing::{asking, file};

    #[test]
    fn a_plain_bucket_gets_no_tokens_and_nothing_that_browsers_show() {
        let mxc = "mxc://a.example/a".parse().unwrap();
        let attachment = file(&mxc, None);
        let shown = Redirected { content_type: "image/png", disposition: "inline; filename=a", ..attachment.clone() };
        let nowhere = Redirected { key: None, ..attachment.clone() };
        let with_token = Asking { sends_authorization: true, ..asking() };

        for (is_guarded, asking, what, expected) in [
            (false, asking(), &attachment, None),
            (false, asking(), &shown, Some(Reason::Shown)),
            (false, with_token, &attachment, Some(Reason::Authorization)),
            (true, with_token, &shown, None),
            (true, asking(), &nowhere, Some(Reason::NoUrl)),
        ] {
            assert_eq!(bucket_refusal(is_guarded, asking, what), expected, "{is_guarded} {asking:?} {what:?}");
        }
    }
}
