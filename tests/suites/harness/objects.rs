//! The S3 server keeps what it is given.

use harness::S3;
use tempfile::tempdir;

#[tokio::test]
async fn a_bucket_gives_back_what_was_put_into_it() {
    let dir = tempdir().unwrap();
    let s3 = S3::start_in(dir.path()).await.unwrap();
    s3.make_bucket("results").await.unwrap();
    s3.make_bucket("results").await.unwrap();
    let (key, bytes) = ("words/a&b <c> 100%.bin", [0, 13, 10, 255, 13, 10, 13, 10]);
    s3.put("results", key, &bytes).await.unwrap();
    s3.put("results", "other", b"").await.unwrap();
    assert_eq!(s3.get("results", key).await.unwrap().unwrap(), bytes);
    assert_eq!(s3.get("results", "none").await.unwrap(), None);
    assert_eq!(s3.keys("results", "words/").await.unwrap(), [key]);
    assert_eq!(s3.keys("results", "").await.unwrap(), ["other", key]);
    assert!(s3.keys("nowhere", "").await.is_err());
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let dir = tempdir().unwrap();
    let s3 = S3::start_in(dir.path()).await.unwrap();
    s3.make_bucket("many").await.unwrap();
    let names: Vec<String> = (0..100).map(|at| format!("{at:03}")).collect();
    for name in &names {
        s3.put("many", name, b"").await.unwrap();
    }
    assert_eq!(s3.keys("many", "").await.unwrap(), names);
}

#[tokio::test]
async fn an_upload_in_parts_is_no_object_before_it_is_complete() {
    let dir = tempdir().unwrap();
    let s3 = S3::start_in(dir.path()).await.unwrap();
    s3.make_bucket("parts").await.unwrap();
    assert!(s3.unfinished("parts").await.unwrap().is_empty());
    s3.ask("POST", "/parts/large?uploads", b"").await.unwrap();
    assert_eq!(s3.unfinished("parts").await.unwrap(), ["large"]);
    assert!(s3.keys("parts", "").await.unwrap().is_empty());
}
