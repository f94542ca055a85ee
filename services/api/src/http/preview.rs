//! `GET /_matrix/client/v1/media/preview_url`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediapreview_url>
//!
//! `ts` is read and changes nothing: what is remembered is never older than a day or so.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL},
};
use heliograph_matrix::Requester;
use heliograph_proto::Preview;
use heliograph_types::ErrorCode;
use url::Url;

use crate::{
    error::ApiError,
    limits::Caller,
    params::Query,
    routes::{Call, Outcome},
};

/// No page that is meant to be shared has a longer one.
const LONGEST_URL: usize = 8 << 10;
/// Clients ask again each time that they show a message.
const KEEP: &str = "private, max-age=300";

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, requester: Requester) -> Outcome {
    if !front.previews {
        return Err(ApiError::new(ErrorCode::Unrecognized, "URL previews are switched off"));
    }
    let query = Query::of(request);
    let wanted = query.find(&["url"]).ok_or_else(|| ApiError::new(ErrorCode::MissingParam, "url is missing"))?;
    let url = read_url(wanted)?;
    query.find_number(&["ts"], 0)?;
    front.limits.preview(&Caller::of(front, request, &requester)).await?;
    let (tenant, languages) = (requester.user_id.server_name(), languages(request));
    let wanted = Preview { tenant, url, languages, user: requester.user_id };
    let answer = front.federation.preview(wanted).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, KEEP)).content_type("application/json").body(answer))
}

/// An absolute URL of the web, without a password in it.
fn read_url(text: &str) -> Result<Url, ApiError> {
    let invalid = || ApiError::new(ErrorCode::InvalidParam, "url must be an absolute URL of http or https");
    let mut url: Url = text.parse().map_err(|_| invalid())?;
    let is_of_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if text.len() > LONGEST_URL || !is_of_web || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid());
    }
    url.set_fragment(None);
    Ok(url)
}

fn languages(request: &HttpRequest) -> String {
    let header = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_urls_of_the_web_are_taken() {
        for text in [
            "",
            "example.org",
            "/a",
            "ftp://example.org/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://",
            "https://user@example.org/",
            "https://:password@example.org/",
            "https://exa mple.org/",
            "http://[::1",
        ] {
            assert!(read_url(text).is_err(), "{text}");
        }
        assert!(read_url(&format!("https://a.example/{}", "x".repeat(LONGEST_URL))).is_err());
        assert_eq!(read_url("HTTPS://EXAMPLE.org/a?b#c").unwrap().as_str(), "https://example.org/a?b");
    }
}
