//! Every endpoint: its method, who may call it, where it is defined, its paths.
//!
//! The table is all there is: the router, the check of who calls, and the reference for
//! operators (`reference`) are made from it.

mod reference;
mod table;

use std::collections::HashMap;

use actix_web::{
    HttpRequest, HttpResponse, Resource,
    guard::{self, Guard},
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
    const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Delete => Method::DELETE,
        }
    }

    fn guard(self) -> impl Guard {
        let method = self.method();
        guard::fn_guard(move |context| {
            let asked = &context.head().method;
            *asked == method || (*asked == Method::HEAD && method == Method::GET)
        })
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

/// Adds every route that is switched on to the server.
pub(crate) fn configure(config: &mut ServiceConfig, settings: &ApiConfig) {
    for (path, routes) in by_path(settings) {
        config.service(resource(&path, &routes));
    }
    config.default_service(web::to(unrecognized));
}

/// The routes of each path, in the order of the table: the router tries them so.
fn by_path(settings: &ApiConfig) -> Vec<(String, Vec<&'static Route>)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut paths: Vec<(String, Vec<&'static Route>)> = Vec::new();
    for route in ROUTES.iter().filter(|route| route.switch.is_on(settings)) {
        for path in route.paths.iter().flat_map(|path| expand(path)) {
            let place = *places.entry(path.clone()).or_insert(paths.len());
            if place == paths.len() {
                paths.push((path, Vec::new()));
            }
            paths[place].1.push(route);
        }
    }
    paths
}

/// All paths that a row stands for.
fn expand(path: &str) -> Vec<String> {
    if let Some((before, rest)) = path.split_once('(')
        && let Some((choices, after)) = rest.split_once(')')
    {
        return choices.split('|').flat_map(|choice| expand(&format!("{before}{choice}{after}"))).collect();
    }
    if let Some((before, rest)) = path.split_once('[')
        && let Some((option, after)) = rest.split_once(']')
    {
        return ["", option].iter().flat_map(|option| expand(&format!("{before}{option}{after}"))).collect();
    }
    vec![path.to_owned()]
}

fn resource(path: &str, routes: &[&'static Route]) -> Resource {
    // A file name may be empty.
    let resource = web::resource(path.replace("{file_name}", "{file_name:[^/]*}"));
    let allowed = routes.iter().map(|route| route.method.allowed()).chain(["OPTIONS"]).collect::<Vec<_>>().join(", ");
    let resource = routes.iter().fold(resource, |resource, &route| {
        let handler = move |front, request, body| serve(route, front, request, body);
        resource.route(web::route().guard(route.method.guard()).to(handler))
    });
    resource.default_service(web::to(move || std::future::ready(method_not_allowed(&allowed))))
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

fn method_not_allowed(allowed: &str) -> HttpResponse {
    let error = ApiError::new(ErrorCode::MethodNotAllowed, "this endpoint does not know the method");
    let mut answer = HttpResponse::from_error(error);
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

async fn unrecognized() -> Outcome {
    Err(ApiError::new(ErrorCode::Unrecognized, "no such endpoint"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_row_stands_for_all_its_paths() {
        assert_eq!(expand("/a/(x|y/z)/b[/{f}]"), ["/a/x/b", "/a/x/b/{f}", "/a/y/z/b", "/a/y/z/b/{f}"]);
        assert_eq!(expand("/a"), ["/a"]);
    }

    #[test]
    fn no_path_has_the_same_method_twice() {
        for (path, routes) in by_path(&ApiConfig::default()) {
            let methods: HashSet<Method> = routes.iter().map(|route| route.method.method()).collect();
            assert_eq!(methods.len(), routes.len(), "{path}");
        }
    }

    #[test]
    fn what_is_switched_off_is_not_there() {
        let paths = |legacy_media, msc1902_paths| {
            let settings = ApiConfig { legacy_media, msc1902_paths, ..ApiConfig::default() };
            by_path(&settings).into_iter().map(|(path, _)| path).collect::<HashSet<_>>()
        };
        let legacy = "/_matrix/media/v3/download/{server_name}/{media_id}";
        let split = "/_matrix/client/r0/media/download/{server_name}/{media_id}";

        assert!(paths(true, true).contains(legacy) && paths(true, true).contains(split));
        assert!(paths(true, false).contains(legacy) && !paths(true, false).contains(split));
        assert!(!paths(false, true).contains(legacy) && !paths(false, true).contains(split));
        assert!(paths(false, false).contains("/_matrix/media/v3/upload"));
    }
}
