//! Uploads: straight into the bucket of this region if the core says where, else through the core.
//!
//! The core decides before the body is read (who, how much, which id) and after it is in the
//! bucket (how much it is, the quota, whether it is wanted). Until it has agreed to that, there
//! is no medium. Only then the client hears 200.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::header::CONTENT_TYPE,
    web::{Data, Payload},
};
use percent_encoding::percent_decode_str;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    body::{self, Fed},
    caller::Caller,
    error::EdgeError,
    forward::{self, Sent},
    metrics,
    server::Edge,
    target::{self, Place, Unfinished},
    upstream::{Answer, Sending, unreachable},
};

/// Why an upload is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// In the words of the core.
    Core(Answer),
    /// In ours.
    Edge(EdgeError),
}

impl Refusal {
    pub(crate) fn answer(&self) -> HttpResponse {
        match self {
            Self::Core(answer) => forward::whole(answer),
            Self::Edge(error) => error.error_response(),
        }
    }
}

impl From<EdgeError> for Refusal {
    fn from(error: EdgeError) -> Self {
        Self::Edge(error)
    }
}

/// `POST upload`.
pub(crate) async fn post(edge: Data<Edge>, request: HttpRequest, mut payload: Payload) -> HttpResponse {
    let Some(length) = direct_length(&edge, &request) else { return through_core(&edge, &request, payload).await };
    let outcome = post_direct(&edge, &request, &mut payload, length).await;
    answer(&edge, &request, payload, outcome).await
}

async fn post_direct(
    edge: &Data<Edge>,
    request: &HttpRequest,
    payload: &mut Payload,
    length: u64,
) -> Result<HttpResponse, Refusal> {
    let caller = Caller::of(edge, request.head());
    edge.sizes.check(edge, &caller, length).await?;
    let place = target::new_id(edge, &caller).await?;
    let content_uri = json!({ "content_uri": format!("mxc://{}", place.id) });
    if place.url.is_none() {
        edge.offers.none(edge.clock.now());
        fill_through_core(edge, &caller, request, payload, &place).await?;
    } else {
        direct(edge, caller, request, payload, (place, length)).await?;
    }
    Ok(HttpResponse::Ok().json(content_uri))
}

/// `PUT upload/{serverName}/{mediaId}`.
pub(crate) async fn put(edge: Data<Edge>, request: HttpRequest, mut payload: Payload) -> HttpResponse {
    let Some(length) = direct_length(&edge, &request) else { return through_core(&edge, &request, payload).await };
    let caller = Caller::of(&edge, request.head());
    // As it was sent: the last two segments of the path.
    let id = request.uri().path().rsplitn(3, '/').take(2).collect::<Vec<_>>();
    let id = id.into_iter().rev().collect::<Vec<_>>().join("/");
    let outcome = match prepare(&edge, &caller, &id, length).await {
        Ok(None) => {
            edge.offers.none(edge.clock.now());
            return through_core(&edge, &request, payload).await;
        }
        Ok(Some(place)) => direct(&edge, caller, &request, &mut payload, (place, length)).await,
        Err(refusal) => Err(refusal),
    };
    let outcome = outcome.map(|()| HttpResponse::Ok().json(json!({})));
    answer(&edge, &request, payload, outcome).await
}

async fn prepare(edge: &Edge, caller: &Caller, id: &str, length: u64) -> Result<Option<Place>, Refusal> {
    edge.sizes.check(edge, caller, length).await?;
    target::given_id(edge, caller, id).await
}

async fn answer(
    edge: &Edge,
    request: &HttpRequest,
    payload: Payload,
    outcome: Result<HttpResponse, Refusal>,
) -> HttpResponse {
    match outcome {
        Ok(answer) => answer,
        Err(refusal) => forward::refuse_with(edge, request, refusal.answer(), payload).await,
    }
}

async fn through_core(edge: &Edge, request: &HttpRequest, payload: Payload) -> HttpResponse {
    metrics::uploaded("core", forward::declared_length(request).unwrap_or_default());
    forward::forward(edge, request, payload).await
}

/// How long the body is, if it can go straight into the bucket: buckets want to know before.
fn direct_length(edge: &Edge, request: &HttpRequest) -> Option<u64> {
    // Only the core can look at pictures.
    let wants_more = request.query_string().contains("generate_blurhash");
    forward::declared_length(request)
        .filter(|_| edge.config.direct && !wants_more && edge.offers.may_come(edge.clock.now()))
}

/// Fills a new id through the core, which gave it out without a URL.
async fn fill_through_core(
    edge: &Data<Edge>,
    caller: &Caller,
    request: &HttpRequest,
    payload: &mut Payload,
    place: &Place,
) -> Result<(), Refusal> {
    let unfinished = Unfinished::new(edge.clone(), caller.clone(), place.clone());
    let name = file_name(request);
    let parameters: Vec<(&str, &str)> = name.iter().map(|name| ("filename", name.as_str())).collect();
    let url = caller.url(edge, &format!("/_matrix/media/v3/upload/{}", place.id), &parameters)?;
    let Sent { answer, .. } = forward::send_body(edge, request, payload, (Method::PUT, url)).await?;
    if answer.status != StatusCode::OK {
        return Err(Refusal::Core(answer));
    }
    unfinished.done();
    metrics::uploaded("core", forward::declared_length(request).unwrap_or_default());
    Ok(())
}

/// Puts the body into the bucket, and has the core take it over.
async fn direct(
    edge: &Data<Edge>,
    caller: Caller,
    request: &HttpRequest,
    payload: &mut Payload,
    (place, length): (Place, u64),
) -> Result<(), Refusal> {
    let Some(url) = place.url.clone() else { return Err(unreachable("a target without a URL").into()) };
    let mut unfinished = Unfinished::new(edge.clone(), caller.clone(), place.clone());
    let (feed, content) = body::channel();
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut sending = edge.upstream.put(url, content_type, length, content);
    let put = tokio::select! {
        answer = sending.answer() => Err(answer),
        () = target::keep(edge, &caller, &place) => return Err(EdgeError::Overtaken.into()),
        outcome = feed.feed(payload, edge.config.body_timeout) => match outcome? {
            Fed::Whole => Ok(sending),
            Fed::Refused => Err(sending.answer().await),
        },
    };
    unfinished.spoil();
    let put = match put {
        Ok(sending) => Put::OnItsWay(sending),
        // It needs no end to be told: it knows the length.
        Err(Ok(answer)) if feed.fed_bytes() == length => Put::Answered(answer.status()),
        Err(Ok(answer)) => return Err(unreachable(format!("the bucket answers {} too early", answer.status())).into()),
        Err(Err(error)) => return Err(error.into()),
    };
    // Everything has arrived: from here on the upload completes, even if the client leaves.
    let upload = Upload { edge: edge.clone(), caller, place, unfinished, file_name: file_name(request), length };
    let finishing = edge.spawn(upload.finish(put));
    finishing.await.map_err(|error| Refusal::from(unreachable(error)))?
}

/// A body that was given to the bucket.
enum Put {
    OnItsWay(Sending),
    Answered(StatusCode),
}

/// An upload whose last byte is on its way into the bucket.
struct Upload {
    edge: Data<Edge>,
    caller: Caller,
    place: Place,
    unfinished: Unfinished,
    file_name: Option<String>,
    length: u64,
}

impl Upload {
    async fn finish(mut self, put: Put) -> Result<(), Refusal> {
        let (edge, caller, place) = (&self.edge, &self.caller, &self.place);
        let work = async {
            let status = match put {
                Put::OnItsWay(mut sending) => edge.upstream.await_answer(&mut sending).await?.status(),
                Put::Answered(status) => status,
            };
            if !status.is_success() {
                return Err(unreachable(format!("the bucket answers {status}")));
            }
            target::complete(edge, caller, place, self.file_name.as_deref()).await
        };
        let answer = tokio::select! {
            answer = work => answer?,
            () = target::keep(edge, caller, place) => return Err(EdgeError::Overtaken.into()),
        };
        if answer.status != StatusCode::OK {
            if answer.status == StatusCode::PAYLOAD_TOO_LARGE || answer.json()["errcode"] == "M_USER_LIMIT_EXCEEDED" {
                self.unfinished.emptied(self.place);
            }
            return Err(Refusal::Core(answer));
        }
        metrics::uploaded("bucket", self.length);
        self.unfinished.done();
        Ok(())
    }
}

/// What the content is to be called.
fn file_name(request: &HttpRequest) -> Option<String> {
    let value = request.query_string().split('&').find_map(|pair| pair.strip_prefix("filename="))?;
    Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
}
