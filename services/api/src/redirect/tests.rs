//! Who is sent where, over targets that do what a test wants.

use actix_web::test::TestRequest;
use async_trait::async_trait;
use bytesize::ByteSize;
use heliograph_blobs::{BlobError, LocalStore, StorageConfig};

use super::{
    testing::{asking, file},
    *,
};

/// What a place has.
#[derive(Debug, Clone)]
enum Has {
    Url(String),
    Nothing,
    Failure,
}

/// A place that has what a test wants, or refuses.
#[derive(Debug, Clone)]
struct Place(Option<Reason>, Has);

#[async_trait]
impl Target for Place {
    fn name(&self) -> &'static str {
        "place"
    }

    fn refusal(&self, _: Asking, _: &Redirected<'_>) -> Option<Reason> {
        self.0
    }

    async fn url(&self, _: &Redirected<'_>, _: Life) -> Result<Option<Url>, BlobError> {
        match &self.1 {
            Has::Url(url) => Ok(url.parse().ok()),
            Has::Nothing => Ok(None),
            Has::Failure => Err(BlobError::NotFound { key: "a".to_owned() }),
        }
    }
}

fn redirects(targets: Vec<Place>) -> Redirects {
    let folder = tempfile::tempdir().unwrap();
    let blobs: Arc<dyn BlobStore> = Arc::new(LocalStore::open(folder.path(), &StorageConfig::default()).unwrap());
    let config = RedirectsConfig { min_bytes: ByteSize::kib(64), ..RedirectsConfig::default() };
    let targets = targets.into_iter().map(|place| Box::new(place) as Box<dyn Target>).collect();
    Redirects { targets, ..Redirects::new(config, &blobs).unwrap() }
}

async fn find(targets: Vec<Place>) -> Result<String, Reason> {
    let mxc = "mxc://a.example/a".parse().unwrap();
    let found = redirects(targets).find(asking(), &file(&mxc, None), Timestamp::default()).await;
    found.map(String::from)
}

#[tokio::test]
async fn the_first_place_that_takes_a_request_gets_it() {
    let good = Has::Url("https://media.example/".to_owned());
    let long = Has::Url(format!("https://media.example/{}", "a".repeat(MOST_URL_BYTES)));
    let second = Place(None, good.clone());
    for (first, reason) in [
        (Place(Some(Reason::Shown), good), Reason::Shown),
        (Place(None, Has::Nothing), Reason::NoUrl),
        (Place(None, Has::Failure), Reason::Failed),
        (Place(None, long), Reason::TooLong),
    ] {
        assert_eq!(find(vec![first.clone()]).await, Err(reason));
        assert_eq!(find(vec![first, second.clone()]).await.as_deref(), Ok("https://media.example/"), "{reason:?}");
    }
}

#[test]
fn a_wish_is_read_as_its_callers_mean_it() {
    for (query, client, legacy) in [
        ("", true, false),
        ("allow_redirect=true", true, true),
        ("com.beeper.msc3860.allow_redirect=true", true, true),
        ("allow_redirect=false", false, false),
        ("com.beeper.msc3860.allow_redirect=false", false, false),
        ("allow_redirect=TRUE", true, false),
        ("allow_redirect", true, false),
        ("allow_redirect=false&allow_redirect=true", false, false),
    ] {
        let query_parsed = Query::parse(query);
        assert_eq!(Wish::of_client(&query_parsed).allows, client, "{query}");
        assert_eq!(Wish::of_legacy(&query_parsed).allows, legacy, "{query}");
    }
}

#[test]
fn who_would_send_a_token_on_is_known_by_path_and_by_name() {
    let redirects = redirects(vec![]);
    let asked = |name: &str, token: bool, who| {
        let request = TestRequest::get().insert_header((USER_AGENT, name.to_owned()));
        let request = if token { request.insert_header((AUTHORIZATION, "Bearer x")) } else { request };
        redirects.asking(&request.to_http_request(), who).sends_authorization
    };

    for (name, token, who, expected) in [
        ("curl/8.0", false, Who::Legacy, false),
        ("curl/8.0", true, Who::Legacy, true),
        // Every client has one there, and drops it between hosts.
        ("curl/8.0", true, Who::Client, false),
        ("Synapse/1.99", false, Who::Legacy, true),
        ("Mozilla/5.0 Firefox/102.0", true, Who::Client, true),
        ("Mozilla/5.0 Firefox/140.0", true, Who::Client, false),
        ("Mozilla/5.0 Chrome/118.0 Safari/537", true, Who::Client, true),
        ("Mozilla/5.0 Chrome/140.0 Safari/537", true, Who::Client, false),
        ("Synapse/1.99", true, Who::Server, false),
    ] {
        assert_eq!(asked(name, token, who), expected, "{name} {token} {who:?}");
    }
}

#[test]
fn what_is_small_or_switched_off_is_not_redirected() {
    let redirects = redirects(vec![]);
    let wish = Wish { who: Who::Client, allows: true };
    let large = 64 << 10;

    assert_eq!(redirects.refusal(wish, false, large), None);
    assert_eq!(redirects.refusal(wish, false, large - 1), Some(Reason::Small));
    assert_eq!(redirects.refusal(wish, true, large), Some(Reason::SwitchedOff));
    assert_eq!(redirects.refusal(wish.but_never(), false, large), Some(Reason::NotAsked));
    let nobody = RedirectsConfig { clients: false, legacy: false, servers: false, ..RedirectsConfig::default() };
    let redirects = Redirects { config: nobody, ..redirects };
    for who in [Who::Client, Who::Legacy, Who::Server] {
        assert_eq!(redirects.refusal(Wish { who, allows: true }, false, large), Some(Reason::SwitchedOff));
    }
}
