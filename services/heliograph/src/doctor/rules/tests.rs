//! What is printed is what a shell and a tool of the cloud can read.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use heliograph_settings::{Section, toml};

use super::*;

fn config(settings: &[(&str, &str)]) -> StorageConfig {
    let mut config = StorageConfig::default();
    for (key, value) in settings {
        config.set(key, &toml::Value::String((*value).to_owned())).unwrap().unwrap();
    }
    config
}

/// What each tool is called with, one word per line, and what it reads.
fn run(settings: &[(&str, &str)]) -> Vec<String> {
    let script = print_rules(&config(settings), false).unwrap();
    let tools = ["aws", "gcloud", "az"].map(|tool| {
        format!("{tool}() {{ printf '%s\\n' {tool} \"$@\"; case \"$*\" in *-file=*) cat; esac; printf '\\n'; }}\n")
    });
    let mut shell = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    input.write_all(format!("{}{script}", tools.concat()).as_bytes()).unwrap();
    drop(input);
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}");
    String::from_utf8(output.stdout).unwrap().split("\n\n").map(str::to_owned).collect()
}

fn json_of(settings: &[(&str, &str)]) -> Value {
    serde_json::from_str(&print_rules(&config(settings), true).unwrap()).unwrap()
}

#[test]
fn aws_gets_both_rules_with_the_bucket_and_the_endpoint() {
    let settings = [("url", "s3://media/a/b"), ("endpoint", "https://minio.example/it's"), ("region", "x")];
    let rules = json_of(&settings);

    let calls = run(&settings);

    let words = |call: &str| call.lines().map(str::to_owned).collect::<Vec<_>>();
    for (call, command, key) in
        [(&calls[0], "put-bucket-cors", "cors"), (&calls[1], "put-bucket-lifecycle-configuration", "lifecycle")]
    {
        let words = words(call);
        assert_eq!(words[..5], ["aws", "s3api", command, "--bucket", "media"]);
        assert_eq!(words[5..9], ["--region", "x", "--endpoint-url", "https://minio.example/it's"]);
        assert_eq!(serde_json::from_str::<Value>(words.last().unwrap()).unwrap(), rules[key]);
    }
    let rule = &rules["lifecycle"]["Rules"][0];
    assert_eq!(rule["Filter"]["Prefix"], "a/b/");
    assert_eq!(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 2);
    assert!(!rules.to_string().contains("Expiration"), "nothing else goes");
}

#[test]
fn gcloud_reads_both_rules_as_files() {
    let settings = [("url", "gs://media/a")];
    let rules = json_of(&settings);

    let calls = run(&settings);

    for (call, option, key) in [(&calls[0], "--cors-file", "cors"), (&calls[1], "--lifecycle-file", "lifecycle")] {
        let head = format!("gcloud\nstorage\nbuckets\nupdate\ngs://media\n{option}=/dev/stdin\n");
        let file = call.strip_prefix(&head).unwrap_or_else(|| panic!("{call}"));
        assert_eq!(serde_json::from_str::<Value>(file).unwrap(), rules[key]);
    }
    assert_eq!(rules["lifecycle"]["rule"][0]["condition"], json!({"age": 2, "matchesPrefix": ["a/"]}));
}

#[test]
fn az_gets_the_rule_that_it_has() {
    let calls = run(&[("url", "az://media"), ("account", "ours")]);

    assert!(
        calls[0].starts_with("az\nstorage\ncors\nadd\n--services\nb\n--account-name\nours\n--origins\n*\n"),
        "{calls:?}"
    );
}

#[test]
fn without_a_prefix_the_whole_bucket_is_meant() {
    assert_eq!(json_of(&[("url", "s3://media")])["lifecycle"]["Rules"][0]["Filter"]["Prefix"], "");
    assert_eq!(json_of(&[("url", "gs://media")])["lifecycle"]["rule"][0]["condition"], json!({"age": 2}));
}

#[test]
fn a_folder_has_no_rules() {
    let problems = print_rules(&StorageConfig::default(), false).unwrap_err();

    assert!(problems.to_string().starts_with("storage.url: "), "{problems}");
}
