//! What is a store, and which settings go together.

use heliograph_settings::Section;

use super::*;

fn read(text: &str) -> Result<StoreUrl, String> {
    StoreUrl::read(&Value::String(text.to_owned()))
}

fn store(url: &str) -> StorageConfig {
    StorageConfig { url: Some(read(url).unwrap()), ..StorageConfig::default() }
}

fn secret() -> Secret<String> {
    Secret::new("x".to_owned())
}

fn fields(config: &StorageConfig) -> Vec<&'static str> {
    config.contradictions().into_iter().map(|(field, _)| field).collect()
}

#[test]
fn a_store_is_an_absolute_folder() {
    assert_eq!(read("file:///srv/media").unwrap().folder(), Some(Path::new("/srv/media")));
    assert_eq!(read("file:///srv/our%20media/").unwrap().folder(), Some(Path::new("/srv/our media")));
}

#[test]
fn or_a_bucket() {
    let bucket = |text: &str| {
        let url = read(text).unwrap();
        assert_eq!((url.folder(), url.show()), (None, Some(Value::String(text.to_owned()))));
        let Bucket { cloud, name, prefix } = url.bucket().unwrap().clone();
        (cloud, name, prefix.map(|prefix| prefix.to_string()))
    };

    assert_eq!(bucket("s3://media"), (Cloud::S3, "media".to_owned(), None));
    assert_eq!(bucket("s3://media/a/b/"), (Cloud::S3, "media".to_owned(), Some("a/b".to_owned())));
    assert_eq!(bucket("gs://my.media_1/"), (Cloud::Google, "my.media_1".to_owned(), None));
    assert_eq!(bucket("az://media/a"), (Cloud::Azure, "media".to_owned(), Some("a".to_owned())));
}

#[test]
fn nothing_else_is_a_store() {
    let folders = ["", "/srv/media", "file:media", "file:/srv", "file://media", "file:///a?b", "file:///a#b"];
    let buckets = [
        "s3://",
        "s3://a",
        "s3:media",
        "S3://media",
        "s3://media//a",
        "s3://media/../a",
        "s3://media?x",
        "s3://u@media",
    ];
    for bad in folders.into_iter().chain(buckets).chain(["s3://media:80", "ftp://media", "az://media/%41"]) {
        let error = read(bad).unwrap_err();
        assert!(error.contains("file:///var/lib") && error.ends_with(&format!("not \"{bad}\"")), "{error}");
    }
}

#[test]
fn the_defaults_go_together_with_every_store() {
    for url in ["file:///srv", "s3://media", "gs://media", "az://media"] {
        assert_eq!(fields(&store(url)), [""; 0]);
    }
    assert_eq!(fields(&StorageConfig::default()), [""; 0]);
}

#[test]
fn settings_of_one_cloud_are_not_for_another() {
    let s3 = |url: &str| StorageConfig {
        region: Some("x".to_owned()),
        access_key_id: Some(secret()),
        secret_access_key: Some(secret()),
        session_token: Some(secret()),
        path_style: true,
        ..store(url)
    };
    let all = ["region", "access_key_id", "secret_access_key", "session_token", "path_style"];
    for url in ["file:///srv", "gs://media", "az://media"] {
        assert_eq!(fields(&s3(url)), all, "{url}");
    }
    assert_eq!(fields(&s3("s3://media")), [""; 0]);

    let google = |url: &str| StorageConfig { service_account_file: Some("/key".into()), ..store(url) };
    assert_eq!(fields(&google("s3://media")), ["service_account_file"]);
    assert_eq!(fields(&google("gs://media")), [""; 0]);

    let public_endpoint = Some("https://media.example".parse().unwrap());
    assert_eq!(fields(&StorageConfig { public_endpoint, ..store("gs://media") }), ["public_endpoint"]);

    let azure = |url: &str| StorageConfig { account: Some("a".to_owned()), access_key: Some(secret()), ..store(url) };
    assert_eq!(fields(&azure("gs://media")), ["account", "access_key"]);
    assert_eq!(fields(&azure("az://media")), [""; 0]);

    let without_store = StorageConfig { allow_http: true, ca_file: Some("/ca".into()), ..StorageConfig::default() };
    let found = without_store.contradictions();
    assert_eq!(found[0], ("allow_http", "is only for a store in s3:// or gs:// or az://, see url".to_owned()));
    assert_eq!(found[1].0, "ca_file");
}

#[test]
fn half_of_a_key_is_no_key() {
    assert_eq!(fields(&StorageConfig { access_key_id: Some(secret()), ..store("s3://media") }), ["secret_access_key"]);
    assert_eq!(fields(&StorageConfig { secret_access_key: Some(secret()), ..store("s3://media") }), ["access_key_id"]);
    assert_eq!(fields(&StorageConfig { session_token: Some(secret()), ..store("s3://media") }), ["session_token"]);
    assert_eq!(fields(&StorageConfig { access_key: Some(secret()), ..store("az://media") }), ["account"]);
    assert_eq!(fields(&StorageConfig { account: Some("a".to_owned()), ..store("az://media") }), [""; 0]);
}

#[test]
fn a_key_of_the_key_service_needs_that_service() {
    let with = |server_side_encryption| {
        let kms_key_id = Some("k".to_owned());
        fields(&StorageConfig { server_side_encryption, kms_key_id, ..store("s3://media") })
    };

    assert_eq!(with(None), ["kms_key_id"]);
    assert_eq!(with(Some(ServerSideEncryption::Aes256)), ["kms_key_id"]);
    assert_eq!(with(Some(ServerSideEncryption::Kms)), [""; 0]);
}

#[test]
fn an_endpoint_without_encryption_is_asked_for_twice() {
    let with = |endpoint: &str, allow_http| {
        fields(&StorageConfig { endpoint: Some(endpoint.parse().unwrap()), allow_http, ..store("s3://media") })
    };

    assert_eq!(with("http://minio", false), ["endpoint"]);
    assert_eq!(with("ftp://minio", true), ["endpoint"]);
    assert_eq!(with("http://minio", true), [""; 0]);
    assert_eq!(with("https://minio", false), [""; 0]);
    assert_eq!(with("https://127.0.0.1", false), ["endpoint"], "no bucket stands before an address");
    assert_eq!(with("https://[::1]:1", false), ["endpoint"]);
}

#[test]
fn parts_have_a_size_that_stores_take() {
    for (size, bad) in [(LEAST_PART.0 - 1, true), (LEAST_PART.0, false), (MOST_PART.0, false), (MOST_PART.0 + 1, true)]
    {
        let config = StorageConfig { part_size: ByteSize(size), ..store("s3://media") };
        assert_eq!(!fields(&config).is_empty(), bad, "{size}");
    }
}

#[test]
fn files_that_cannot_be_used_are_told_with_their_paths() {
    let named = StorageConfig {
        ca_file: Some("/dev/null".into()),
        service_account_file: Some("/nowhere/key".into()),
        ..store("gs://media")
    };

    let found = named.unusable_files();

    assert_eq!(found.iter().map(|(field, _)| *field).collect::<Vec<_>>(), ["ca_file", "service_account_file"]);
    assert!(found[0].1.starts_with("/dev/null: there is no certificate") && found[1].1.starts_with("/nowhere/key: "));
    assert!(store("gs://media").unusable_files().is_empty());
}

fn further(name: Option<&str>, storage: StorageConfig) -> StoreConfig {
    StoreConfig { name: name.map(|name| name.parse().unwrap()), storage }
}

#[test]
fn a_further_store_has_a_name_and_a_place() {
    let fields = |store: &StoreConfig| store.contradictions().into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    let trusted = StorageConfig { conditional_create: ConditionalCreate::Trust, ..store("s3://media") };

    assert_eq!(fields(&further(Some("eu"), store("s3://media"))), [""; 0]);
    assert_eq!(fields(&StoreConfig::default()), ["name", "url"]);
    assert_eq!(fields(&further(Some("eu"), trusted)), ["conditional_create"]);
    assert_eq!(StoreConfig::fields().len(), StorageConfig::fields().len() + 1);
}

#[test]
fn no_store_lies_within_another() {
    let overlap = |a: &str, b: &str| store(a).overlaps(&store(b), Path::new("/srv/data"));

    for (a, b) in [("s3://media", "s3://media"), ("s3://media/a", "s3://media/a/b"), ("file:///a/b", "file:///a")] {
        assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
    }
    for (a, b) in [
        ("s3://media", "gs://media"),
        ("s3://media", "s3://media2"),
        ("s3://media/a", "s3://media/ab"),
        ("file:///a", "file:///ab"),
        ("file:///media", "s3://media"),
    ] {
        assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
    }
    assert!(StorageConfig::default().overlaps(&store("file:///srv/data/media"), Path::new("/srv/data")));
    let elsewhere = StorageConfig { endpoint: Some("https://eu.example".parse().unwrap()), ..store("s3://media") };
    assert!(!elsewhere.overlaps(&store("s3://media"), Path::new("/srv")));
}
