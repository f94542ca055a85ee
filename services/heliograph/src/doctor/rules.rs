//! The rules that a bucket needs, as commands for the tools of its cloud.
//!
//! Two rules: browsers of every origin may use URLs that we sign, and uploads in parts that
//! nobody completed go. Nothing else ever expires.

use heliograph_blobs::{Bucket, Cloud, StorageConfig};
use heliograph_settings::Problems;
use serde_json::{Value, json};

/// Longer than any upload takes.
const DAYS: u32 = 2;
/// How long browsers remember what they may.
const MAX_AGE_SECONDS: u32 = 3600;
const METHODS: [&str; 3] = ["GET", "HEAD", "PUT"];
/// What web clients may read of an answer.
const EXPOSED: [&str; 5] = ["Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag"];
/// What uploads and downloads in parts send. As browsers write it: Garage minds the case.
const SENT: [&str; 3] = ["content-type", "if-none-match", "range"];

/// The rules for the store of the settings: commands for a shell, or their JSON.
pub(crate) fn print_rules(config: &StorageConfig, as_json: bool) -> Result<String, Problems> {
    let Some(bucket) = config.bucket() else {
        let mut problems = Problems::default();
        problems.push("storage.url", "is a folder: only buckets have rules");
        return Err(problems);
    };
    if as_json {
        let rules = json!({ "cors": cors(bucket.cloud), "lifecycle": lifecycle(bucket) });
        return Ok(format!("{rules:#}\n"));
    }
    Ok(format!("{HEAD}{}", commands(bucket, config)))
}

const HEAD: &str = "\
# For a shell: `heliograph doctor --print-bucket-rules | sh`. These rules take the place of those that
# the bucket has: add yours to them first, if there are any.
set -e
";

fn commands(bucket: &Bucket, config: &StorageConfig) -> String {
    let name = &bucket.name;
    let text = |value: Value| quoted(&value.to_string());
    match bucket.cloud {
        Cloud::S3 => {
            let (cors, lifecycle) = (text(cors(bucket.cloud)), text(lifecycle(bucket)));
            let mut at =
                config.region.as_ref().map(|region| format!(" --region {}", quoted(region))).unwrap_or_default();
            if let Some(endpoint) = &config.endpoint {
                at = format!("{at} --endpoint-url {}", quoted(endpoint.as_str().trim_end_matches('/')));
            }
            format!(
                "aws s3api put-bucket-cors --bucket {name}{at} --cors-configuration {cors}\n\
                 aws s3api put-bucket-lifecycle-configuration --bucket {name}{at} --lifecycle-configuration {lifecycle}\n"
            )
        }
        Cloud::Google => {
            let (cors, lifecycle) = (cors(bucket.cloud), lifecycle(bucket));
            format!(
                "gcloud storage buckets update gs://{name} --cors-file=/dev/stdin <<'EOF'\n{cors:#}\nEOF\n\
                 gcloud storage buckets update gs://{name} --lifecycle-file=/dev/stdin <<'EOF'\n{lifecycle:#}\nEOF\n"
            )
        }
        Cloud::Azure => {
            let account = config.account.as_ref().map(|account| format!(" --account-name {}", quoted(account)));
            format!(
                "# The rule is that of the whole account.\n\
                 az storage cors add --services b{} --origins '*' --methods {} --allowed-headers {} --exposed-headers {} \
                 --max-age {MAX_AGE_SECONDS}\n\
                 # Azure removes parts of uploads that nobody completed by itself, after a week.\n",
                account.unwrap_or_default(),
                METHODS.join(" "),
                [SENT.as_slice(), &["x-ms-blob-type"]].concat().join(" "),
                EXPOSED.join(" "),
            )
        }
    }
}

/// One word for a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn cors(cloud: Cloud) -> Value {
    match cloud {
        Cloud::S3 => json!({ "CORSRules": [{
            "AllowedOrigins": ["*"], "AllowedMethods": METHODS, "AllowedHeaders": SENT, "ExposeHeaders": EXPOSED,
            "MaxAgeSeconds": MAX_AGE_SECONDS,
        }] }),
        // Here one list is for what is sent and for what may be read.
        Cloud::Google => json!([{
            "origin": ["*"], "method": METHODS, "responseHeader": (SENT.iter().chain(&EXPOSED).collect::<Vec<_>>()),
            "maxAgeSeconds": MAX_AGE_SECONDS,
        }]),
        Cloud::Azure => json!([{
            "AllowedOrigins": ["*"], "AllowedMethods": METHODS, "AllowedHeaders": SENT, "ExposedHeaders": EXPOSED,
            "MaxAgeInSeconds": MAX_AGE_SECONDS,
        }]),
    }
}

fn lifecycle(bucket: &Bucket) -> Value {
    let prefix = bucket.prefix.as_ref().map(|prefix| format!("{prefix}/"));
    match bucket.cloud {
        Cloud::S3 => json!({ "Rules": [{
            "ID": "heliograph-unfinished-uploads", "Status": "Enabled",
            "Filter": { "Prefix": prefix.unwrap_or_default() },
            "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": DAYS },
        }] }),
        Cloud::Google => {
            let mut condition = json!({ "age": DAYS });
            if let Some(prefix) = prefix {
                condition["matchesPrefix"] = json!([prefix]);
            }
            json!({ "rule": [{ "action": { "type": "AbortIncompleteMultipartUpload" }, "condition": condition }] })
        }
        Cloud::Azure => Value::Null,
    }
}

#[cfg(test)]
mod tests;
