//! What is wrong with a URL or an option is said before anything is delivered.

use std::{io::Write as _, path::PathBuf};

use super::*;

fn config(url: &str, options: &[(&str, &str)]) -> ObjectsConfig {
    ObjectsConfig {
        url: url.to_owned(),
        part_size: 8 << 20,
        ca_file: PathBuf::new(),
        options: options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

/// All that is wrong, in one text.
fn wrong(url: &str, options: &[(&str, &str)]) -> String {
    let found = problems(&config(url, options));
    let told = found.iter().map(|(key, why)| format!("{key} {why}"));
    told.collect::<Vec<_>>().join("; ")
}

#[test]
fn urls_of_every_kind_can_be_used() {
    let azure = [
        ("azure_storage_account_name", "me"),
        ("azure_storage_account_key", "c2VjcmV0"),
    ];
    for (url, options) in [
        ("s3://bucket/a/b", &[][..]),
        (
            "s3://bucket",
            &[("aws_endpoint", "http://127.0.0.1:1"), ("AWS_ALLOW_HTTP", "true")],
        ),
        ("gs://bucket/a", &[]),
        ("az://container/a", &azure),
        ("https://host/dav/", &[("username", "me"), ("password", "secret")]),
        ("http://host:8080/dav", &[("bearer_token", "secret")]),
    ] {
        assert_eq!(wrong(url, options), "", "{url}");
    }
}

#[test]
fn urls_that_name_no_place_say_why() {
    for (url, why) in [
        ("", "url is no URL such as \"s3://bucket/prefix\""),
        ("bucket/prefix", "url is no URL such as \"s3://bucket/prefix\""),
        (
            "file:///var/results",
            "url names files: those are for kind = \"directory\", which syncs them",
        ),
        (
            "ftp://host/",
            "url must begin with s3://, gs://, az://, https:// or http://, and name a bucket or a host",
        ),
        (
            "s3://bucket/?versionId=1",
            "url must not hold a password or a query: options are for that",
        ),
        (
            "https://me:secret@host/",
            "url must not hold a password or a query: options are for that",
        ),
    ] {
        assert_eq!(wrong(url, &[]), why, "{url}");
    }
}

#[test]
fn options_that_are_none_or_make_no_sense_are_named() {
    assert_eq!(
        wrong("s3://b", &[("aws_regoin", "x")]),
        "options.aws_regoin is no option of this kind of url; there are aws_access_key_id, aws_secret_access_key, \
         aws_region, aws_endpoint and allow_http"
    );
    assert_eq!(
        wrong("https://h/", &[("aws_region", "x")]),
        "options.aws_region is no option of this kind of url; there are username, password and bearer_token"
    );
    assert_eq!(
        wrong("s3://b", &[("aws_secret_access_key", "{env:DISTJOB_NOT_SET}")]),
        "options.aws_secret_access_key names the variable DISTJOB_NOT_SET, which is not set"
    );
    let found = wrong("s3://b", &[("aws_allow_http", "perhaps")]);
    assert!(
        found.starts_with("options cannot be used: ") && found.contains("perhaps"),
        "{found}"
    );
    let found = wrong("s3://b", &[("aws_access_key_id", "only")]);
    assert!(found.contains("Missing SecretAccessKey"), "{found}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_a_file_may_be_replaced_while_the_watcher_runs() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let token = format!("{{file:{}}}", file.path().display());
    let config = config("http://host/", &[("bearer_token", &token)]);
    let sink = ObjectsSink::new(&config, Duration::from_secs(1));
    let first = sink.place().await.unwrap();
    tokio::time::advance(FRESH_FOR).await;
    let same = sink.place().await.unwrap();
    assert!(Arc::ptr_eq(&first, &same), "its connections are kept");
    file.write_all(b"another").unwrap();
    assert!(Arc::ptr_eq(&first, &sink.place().await.unwrap()), "not so soon");
    tokio::time::advance(FRESH_FOR).await;
    assert!(!Arc::ptr_eq(&first, &sink.place().await.unwrap()));
}
