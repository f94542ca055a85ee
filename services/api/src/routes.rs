//! Every endpoint: its method, who may call it, where it is defined, its paths.
//!
//! The table is all there is: the router, the check of who calls, and the reference for
//! operators (`reference`) are made from it.

mod places;
mod reference;
mod table;

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{ALLOW, HeaderValue},
    },
    web::{self, Data, Payload, ServiceConfig},
};
use futures_util::future::LocalBoxFuture;
use heliograph_matrix::Requester;
use heliograph_types::ErrorCode;

use crate::{
    ApiConfig,
    auth::{self, Administrator, Signer},
    error::ApiError,
    refuse,
    server::Front,
};

pub(crate) use places::{Places, find_segment};
pub use reference::reference;
use table::ROUTES;

/// What a handler works with.
pub(crate) struct Call<'a> {
    pub(crate) front: &'a Front,
    pub(crate) request: &'a HttpRequest,
    pub(crate) body: &'a mut Payload,
}

pub(crate) type Outcome = Result<HttpResponse, ApiError>;
type Answer<'a> = LocalBoxFuture<'a, Outcome>;

/// Who may call an endpoint, and what answers then.
#[derive(Clone, Copy)]
enum Handler {
    /// Users, by token.
    User(for<'a> fn(Call<'a>, Requester) -> Answer<'a>),
    /// Users and guests, by token.
    UserOrGuest(for<'a> fn(Call<'a>, Requester) -> Answer<'a>),
    /// Anyone; a token makes no difference.
    Anyone(for<'a> fn(Call<'a>) -> Answer<'a>),
    /// Other servers, by signature.
    Server(for<'a> fn(Call<'a>, Signer) -> Answer<'a>),
    /// Administrators, by token.
    Administrator(for<'a> fn(Call<'a>, Administrator) -> Answer<'a>),
}

/// What has to be switched on for a route to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Switch {
    /// Nothing.
    Always,
    /// `api.legacy_media`.
    Legacy,
    /// `api.legacy_media` and `api.msc1902_paths`.
    Msc1902,
}

/// One row of the table.
struct Route {
    method: Verb,
    handler: Handler,
    /// Where it is defined.
    source: &'static str,
    switch: Switch,
    /// `(a|b)` stands for several paths, `[/c]` may be there or not.
    paths: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// Answers `HEAD` too.
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Get => *method == Method::GET || *method == Method::HEAD,
            Self::Post => *method == Method::POST,
            Self::Put => *method == Method::PUT,
            Self::Delete => *method == Method::DELETE,
        }
    }

    const fn allowed(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl Switch {
    const fn is_on(self, config: &ApiConfig) -> bool {
        match self {
            Self::Always => true,
            Self::Legacy => config.legacy_media,
            Self::Msc1902 => config.legacy_media && config.msc1902_paths,
        }
    }
}

/// Answers every request on a path of `places`, and says of all others that there is nothing.
pub(crate) fn configure(config: &mut ServiceConfig, places: Rc<Places>) {
    config.default_service(web::to(move |front, request, body| route(Rc::clone(&places), front, request, body)));
}

async fn route(places: Rc<Places>, front: Data<Front>, request: HttpRequest, body: Payload) -> HttpResponse {
    let Some(place) = places.find(places::path_of(&request)) else { return unrecognized() };
    let Some(route) = place.routes.iter().find(|route| route.method.takes(request.method())) else {
        return method_not_allowed(&place.routes);
    };
    places::enter(&request, place);
    serve(route, front, request, body).await
}

async fn serve(route: &'static Route, front: Data<Front>, request: HttpRequest, mut body: Payload) -> HttpResponse {
    let call = Call { front: &front, request: &request, body: &mut body };
    let outcome = answer(route.handler, call).await;
    refuse::answer_or_refuse(&front, &request, outcome, body).await
}

/// Nobody gets further than this without being who the table asks for.
async fn answer(handler: Handler, call: Call<'_>) -> Outcome {
    let (front, request) = (call.front, call.request);
    match handler {
        Handler::User(handle) => handle(call, auth::user(front, request).await?).await,
        Handler::UserOrGuest(handle) => handle(call, auth::user_or_guest(front, request).await?).await,
        Handler::Anyone(handle) => handle(call).await,
        Handler::Server(handle) => handle(call, auth::server(front, request).await?).await,
        Handler::Administrator(handle) => handle(call, auth::administrator(front, request).await?).await,
    }
}

fn method_not_allowed(routes: &[&Route]) -> HttpResponse {
    let error = ApiError::new(ErrorCode::MethodNotAllowed, "this endpoint does not know the method");
    let mut answer = HttpResponse::from_error(error);
    let allowed = routes.iter().map(|route| route.method.allowed()).chain(["OPTIONS"]).collect::<Vec<_>>().join(", ");
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

fn unrecognized() -> HttpResponse {
    HttpResponse::from_error(ApiError::new(ErrorCode::Unrecognized, "no such endpoint"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_path_has_the_same_method_twice() {
        for place in Places::new(&ApiConfig::default()).all() {
            let methods: HashSet<&str> = place.routes.iter().map(|route| route.method.allowed()).collect();
            assert_eq!(methods.len(), place.routes.len(), "{}", place.pattern);
        }
    }

    #[test]
    fn what_is_switched_off_is_not_there() {
        let paths = |legacy_media, msc1902_paths| {
            let settings = ApiConfig { legacy_media, msc1902_paths, ..ApiConfig::default() };
            Places::new(&settings).all().map(|place| place.pattern.to_string()).collect::<HashSet<_>>()
        };
        let legacy = "/_matrix/media/v3/download/{server_name}/{media_id}";
        let split = "/_matrix/client/r0/media/download/{server_name}/{media_id}";

        assert!(paths(true, true).contains(legacy) && paths(true, true).contains(split));
        assert!(paths(true, false).contains(legacy) && !paths(true, false).contains(split));
        assert!(!paths(false, true).contains(legacy) && !paths(false, true).contains(split));
        assert!(paths(false, false).contains("/_matrix/media/v3/upload"));
    }
}
