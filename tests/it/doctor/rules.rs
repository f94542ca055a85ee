//! The printed rules, as the real tool applies them to a real store.

use std::{
    path::Path,
    process::{Command, Output},
};

use heliograph_tests::{Garage, Setup, Shape, installed};
use serde_json::Value;

use super::Report;
use crate::browser::browse;

fn aws(garage: &Garage, endpoint: &str) -> Command {
    let mut command = Command::new(installed("TEST_AWS"));
    command.envs(garage.environment()).args(["--region", "garage", "--endpoint-url", endpoint, "--output", "json"]);
    command
}

fn json(command: &mut Command) -> Value {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).unwrap()
}

/// With something before every key.
fn prefixed(garage: &Garage) -> Vec<(&'static str, String)> {
    let mut settings = garage.settings();
    settings.iter_mut().filter(|(key, _)| *key == "url").for_each(|(_, url)| url.push_str("/prefix"));
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Garage and the AWS CLI: tests/run stores"]
async fn the_printed_rules_are_taken_by_a_real_store_and_let_browsers_in() {
    let garage = Garage::start().await;
    let settings = prefixed(&garage);
    let endpoint = settings.iter().find(|(key, _)| *key == "endpoint").unwrap().1.clone();
    let setup =
        settings.into_iter().fold(Setup::new(Shape::One), |setup, (key, value)| setup.set("storage", key, value));
    let mut deployment = setup.set("uploads", "direct", true).prepare().await;
    let before = Report::of(&deployment);
    before.fails_with(&["store: browsers: upload (CORS)", "store: browsers: download (CORS)"]);

    let script = deployment.tell(&["doctor", "--print-bucket-rules"]).stdout;
    let tools = installed("TEST_AWS");
    let path = format!("{}:{}", Path::new(&tools).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let script = String::from_utf8(script).unwrap();
    let output =
        Command::new("sh").args(["-c", &script]).env("PATH", path).envs(garage.environment()).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));

    let printed: Value =
        serde_json::from_slice(&deployment.tell(&["doctor", "--print-bucket-rules", "--json"]).stdout).unwrap();
    let bucket = ["--bucket", Garage::BUCKET];
    let cors = json(aws(&garage, &endpoint).args(["s3api", "get-bucket-cors"]).args(bucket));
    let lifecycle = json(aws(&garage, &endpoint).args(["s3api", "get-bucket-lifecycle-configuration"]).args(bucket));
    assert_eq!(cors["CORSRules"][0]["AllowedOrigins"], printed["cors"]["CORSRules"][0]["AllowedOrigins"]);
    assert_eq!(cors["CORSRules"][0]["AllowedMethods"], printed["cors"]["CORSRules"][0]["AllowedMethods"]);
    let rule = &lifecycle["Rules"][0];
    assert_eq!(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 2);
    assert!(rule["Filter"].to_string().contains("prefix/"), "{rule}");
    let after = Report::of(&deployment);
    assert_eq!((after.code, after.with("fail")), (Some(0), vec![]), "{}", after.text);
    let left = json(aws(&garage, &endpoint).args(["s3api", "list-objects-v2"]).args(bucket));
    assert_eq!(left["Contents"], Value::Null);
    let parts = aws(&garage, &endpoint).args(["s3api", "list-multipart-uploads"]).args(bucket).output().unwrap();
    assert!(!String::from_utf8_lossy(&parts.stdout).contains("UploadId"), "{parts:?}");
    // And a real browser is let in.
    deployment.start().await;
    browse("direct.js", &deployment, &[("BUCKET_HAS_CORS", "yes")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Garage: tests/run stores"]
async fn a_bucket_that_is_not_there_is_told_with_its_name() {
    let garage = Garage::start().await;
    let settings = garage.settings().into_iter();
    let setup = settings.fold(Setup::new(Shape::One), |setup, (key, value)| setup.set("storage", key, value));
    let deployment = setup.set("storage", "url", "s3://nowhere").prepare().await;

    let report = Report::of(&deployment);

    assert_eq!(report.code, Some(1));
    let (told, advice) = report.about("store", "put, get and delete");
    assert!(told.contains("there is no s3://nowhere") && advice.contains("create it"), "{}", report.text);
}
