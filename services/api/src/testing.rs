//! A front whose other roles are fakes, over a real folder: for our own tests, and for what
//! measures the way of a request.

pub(crate) mod house;

use std::{rc::Rc, sync::Arc};

use actix_http::Request;
use actix_web::{
    body::{BodySize, MessageBody},
    dev::{Service, ServiceResponse},
    http::header::{AUTHORIZATION, ETAG, HeaderValue, IF_NONE_MATCH},
    test::{self, TestRequest},
    web::Data,
};
use futures_util::{FutureExt, future::LocalBoxFuture};
use heliograph_matrix::TokenChecker;

use self::house::House;
use crate::listen;

/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    pub status: u16,
    pub body_bytes: u64,
    pub etag: Option<HeaderValue>,
}

/// The whole way of a download from memory but the socket, with the medium
/// `mxc://ours.example/here` and a thumbnail of it of 320x240.
pub struct HotPath {
    call: Box<dyn Fn(Request) -> LocalBoxFuture<'static, Outcome>>,
    _house: House,
}

impl HotPath {
    /// With tokens that these know. Time stands still: what is in memory stays there.
    pub async fn open(tokens: Arc<dyn TokenChecker>) -> Self {
        let house = House::new().await.knowing(tokens);
        house.thumbnail("mxc://ours.example/here", "320x240-scale".parse().unwrap()).await;
        let app = listen::app(Data::from(house.front()), house.health());
        let service = Rc::new(test::init_service(app).await);
        let call = move |request| -> LocalBoxFuture<'static, Outcome> {
            let service = Rc::clone(&service);
            Box::pin(async move { outcome(&service.call(request).await.unwrap()) })
        };
        Self { call: Box::new(call), _house: house }
    }

    /// Asks for the first time: what is read is in memory from then on. Tells its tag.
    pub async fn warm(&self, path: &str, token: &str) -> HeaderValue {
        (self.call)(request(path, token, None)).await.etag.unwrap()
    }

    /// Asks for what is in memory, if it is not what `etag` says.
    ///
    /// # Panics
    ///
    /// If the answer has to wait for anything.
    pub fn ask(&self, path: &str, token: &str, etag: Option<&HeaderValue>) -> Outcome {
        (self.call)(request(path, token, etag)).now_or_never().unwrap()
    }
}

fn request(path: &str, token: &str, etag: Option<&HeaderValue>) -> Request {
    let request = TestRequest::get().uri(path).insert_header((AUTHORIZATION, format!("Bearer {token}")));
    let request = request.peer_addr(([127, 0, 0, 1], 9).into());
    etag.into_iter().fold(request, |request, etag| request.insert_header((IF_NONE_MATCH, etag.clone()))).to_request()
}

fn outcome(answer: &ServiceResponse<impl MessageBody>) -> Outcome {
    let body_bytes = match answer.response().body().size() {
        BodySize::Sized(bytes) => bytes,
        BodySize::None | BodySize::Stream => 0,
    };
    Outcome { status: answer.status().as_u16(), body_bytes, etag: answer.headers().get(ETAG).cloned() }
}
