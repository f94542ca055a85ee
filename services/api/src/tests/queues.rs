//! New pictures: what is added to the queue, and what comes of those that nobody could work on.

use std::num::NonZeroUsize;

use actix_web::test::TestRequest;
use heliograph_leases::{Consumer, QueueStanding};
use heliograph_proto::NEW_PICTURES;

use super::*;

const ASIDE: &str = "/_heliograph/admin/v1/queues/thumbnails/aside";

async fn standing(house: &House) -> QueueStanding {
    house.deps.state.measure_queue(NEW_PICTURES).await.unwrap()
}

#[actix_web::test]
async fn a_new_picture_is_added_to_the_queue_as_long_as_there_is_room() {
    let mut house = House::new().await;
    house.deps.premake_queue = NonZeroUsize::new(2);
    let front = house.front();

    for id in ["a", "b", "c"] {
        front.premake.tell(&front, &format!("mxc://ours.example/{id}").parse().unwrap());
    }
    house.deps.tasks.close();
    house.deps.tasks.wait().await;

    assert_eq!(standing(&house).await.lag, 2);
    let worker = Consumer { queue: NEW_PICTURES.to_owned(), name: "worker".to_owned(), unheard_for: Duration::MAX };
    let jobs = house.deps.state.take_jobs(&worker, 9).await.unwrap();
    assert_eq!(
        jobs.into_iter().map(|job| job.task).collect::<Vec<_>>(),
        ["mxc://ours.example/a", "mxc://ours.example/b"]
    );
}

#[actix_web::test]
async fn without_thumbnails_that_are_made_beforehand_nothing_is_added() {
    let house = House::new().await;
    let front = house.front();

    front.premake.tell(&front, &"mxc://ours.example/a".parse().unwrap());
    house.deps.tasks.close();
    house.deps.tasks.wait().await;

    assert_eq!(standing(&house).await, QueueStanding::default());
}

/// Has these set aside.
async fn set_aside(house: &House, tasks: &[&str]) {
    let state = &house.deps.state;
    let worker = Consumer { queue: NEW_PICTURES.to_owned(), name: "worker".to_owned(), unheard_for: Duration::MAX };
    for task in tasks {
        state.add_job(NEW_PICTURES, task, 99).await.unwrap().unwrap();
        let job = state.take_jobs(&worker, 1).await.unwrap().remove(0);
        assert!(state.set_job_aside(&worker, &job.id, "the store is broken", 99).await.unwrap());
    }
}

async fn list(house: &House, query: &str) -> Value {
    let answer = ask(house, get(&format!("{ASIDE}{query}"), "admin")).await;
    assert_eq!(answer.status.as_u16(), 200);
    serde_json::from_slice(&answer.body).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn an_administrator_sees_page_by_page_what_was_set_aside_and_why() {
    let house = House::new().await;
    assert_eq!(list(&house, "").await, json!({ "jobs": [], "total": 0 }));
    set_aside(&house, &["mxc://ours.example/a", "mxc://ours.example/b", "mxc://ours.example/c"]).await;

    let page = list(&house, "?limit=2").await;
    let rest = list(&house, &format!("?from={}", page["next_token"].as_str().unwrap())).await;

    assert_eq!(names(&page), ["mxc://ours.example/a", "mxc://ours.example/b"]);
    assert_eq!(names(&rest), ["mxc://ours.example/c"]);
    assert_eq!((rest.get("next_token"), &rest["total"]), (None, &json!(3)));
    let job = &rest["jobs"][0];
    assert_eq!((&job["reason"], &job["tries"]), (&json!("the store is broken"), &json!(1)));
    assert!(job["set_aside_ts"].as_u64().is_some_and(|at| at > 1_700_000_000_000));
}

#[actix_web::test]
async fn an_administrator_forgets_one_of_them_or_all() {
    let house = House::new().await;
    set_aside(&house, &["a", "b", "c"]).await;
    let second = list(&house, "").await["jobs"][1]["id"].as_str().unwrap().to_owned();
    let delete = async |path: &str| {
        let answer = ask(&house, with_token(TestRequest::delete().uri(path), "admin")).await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()["deleted"].clone()
    };

    assert_eq!(delete(&format!("{ASIDE}/{second}")).await, 1);
    assert_eq!(delete(&format!("{ASIDE}/{second}")).await, 0);
    assert_eq!(names(&list(&house, "").await), ["a", "c"]);
    assert_eq!(delete(ASIDE).await, 2);
    assert_eq!(list(&house, "").await["total"], 0);
}

#[actix_web::test]
async fn an_administrator_has_one_of_them_tried_again_or_all_as_far_as_there_is_room() {
    let mut house = House::new().await;
    house.deps.premake_queue = NonZeroUsize::new(3);
    set_aside(&house, &["a", "b", "c", "d"]).await;
    let second = list(&house, "").await["jobs"][1]["id"].as_str().unwrap().to_owned();
    let retry = async |path: &str| {
        let answer = ask(&house, with_token(TestRequest::post().uri(path), "admin")).await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };

    assert_eq!(retry(&format!("{ASIDE}/{second}/retry")).await, json!({ "retried": 1, "total": 3 }));
    assert_eq!(retry(&format!("{ASIDE}/{second}/retry")).await, json!({ "retried": 0, "total": 3 }));
    assert_eq!(retry(&format!("{ASIDE}/retry")).await, json!({ "retried": 2, "total": 1 }));
    assert_eq!(names(&list(&house, "").await), ["d"]);
    assert_eq!(standing(&house).await.lag, 3);
}

#[actix_web::test]
async fn nobody_else_sees_them_and_other_queues_there_are_none() {
    let house = House::new().await;

    expect(&house, get(ASIDE, "alice"), 403, "M_FORBIDDEN").await;
    expect(&house, with_token(TestRequest::delete().uri(ASIDE), "alice"), 403, "M_FORBIDDEN").await;
    expect(&house, get("/_heliograph/admin/v1/queues/other/aside", "admin"), 404, "M_NOT_FOUND").await;
    expect(&house, get(&format!("{ASIDE}?from=never"), "admin"), 400, "M_INVALID_PARAM").await;
    let wrong = TestRequest::delete().uri("/_heliograph/admin/v1/queues/thumbnails/aside/never");
    expect(&house, with_token(wrong, "admin"), 400, "M_INVALID_PARAM").await;
    for path in ["retry", "1-1/retry"] {
        let retry = TestRequest::post().uri(&format!("{ASIDE}/{path}"));
        expect(&house, with_token(retry, "alice"), 403, "M_FORBIDDEN").await;
    }
    let wrong = TestRequest::post().uri("/_heliograph/admin/v1/queues/thumbnails/aside/never/retry");
    expect(&house, with_token(wrong, "admin"), 400, "M_INVALID_PARAM").await;
}
