//! Names, paths, keys, and the small texts that are made of them.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use distjob_core::{
    Holder, JobId, KeyScheme, Layout, Lease, MemberName, QueueName, Role, Source, Token, Zxid,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A name is taken exactly when it is one; everything that is made of names, roots and prefixes is safe where it stands,
/// and is read as it was written.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    name::<JobId>(text);
    name::<QueueName>(text);
    name::<MemberName>(text);
    name::<Token>(text);
    goes_both_ways::<Zxid>(text);
    goes_both_ways::<Holder>(text);
    if let Ok(leases) = Lease::parse_list(text) {
        let written: Vec<String> = leases.iter().map(Lease::to_string).collect();
        assert_eq!(Lease::parse_list(&written.join(",")).as_ref(), Ok(&leases));
        assert!(leases.iter().all(|lease| lease.range.lo() < lease.range.hi()));
    }
    let (host, unique) = text.split_once('|').unwrap_or((text, "42-0badcafe"));
    if let Ok(name) = MemberName::fresh(host, unique) {
        assert!(is_name(name.as_str()) && name.as_str().ends_with(unique));
    } else {
        assert!(!is_name(unique) || unique.len() > 47, "any host will do");
    }
    if let Ok(layout) = Layout::new(text) {
        paths(&layout, text);
    }
    if let Ok(scheme) = KeyScheme::new(text) {
        keys(&scheme);
    }
    if let Ok(id) = JobId::new(text) {
        let child = id.follow_up(Zxid::new(7), "next");
        assert!(is_name(child.as_str()) && child != id.follow_up(Zxid::new(8), "next"));
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

fn name<T>(text: &str)
where
    T: FromStr + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let parsed: Option<T> = text.parse().ok();
    assert_eq!(parsed.is_some(), is_name(text), "{text:?}");
    let json = serde_json::to_string(text).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).ok(), parsed);
    if let Some(name) = parsed {
        assert_eq!(name.to_string(), text);
        assert_eq!(serde_json::to_string(&name).unwrap(), json);
    }
}

fn goes_both_ways<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

fn paths(layout: &Layout, root: &str) {
    let (id, member) = (JobId::new("j").unwrap(), MemberName::new("m").unwrap());
    assert_eq!(layout.root(), root);
    let below = [
        layout.job(&id),
        layout.lock(&id),
        layout.jobs(),
        layout.locks(),
        layout.member(Role::Executor, &member),
        layout.member(Role::Watcher, &member),
    ];
    for path in &below {
        assert!(
            path.starts_with(root) && is_accepted_by_zookeeper(path),
            "{path:?}"
        );
    }
    let distinct: std::collections::BTreeSet<_> = below.iter().collect();
    assert_eq!(distinct.len(), below.len());
}

/// The rules of the server's `PathUtils.validatePath`, which sees UTF-16.
fn is_accepted_by_zookeeper(path: &str) -> bool {
    let refused = |unit: u16| matches!(unit, 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff);
    let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
    parts.is_some_and(|mut parts| parts.all(|part| !matches!(part, "" | "." | "..")))
        && !path.encode_utf16().any(refused)
}

fn keys(scheme: &KeyScheme) {
    let id = JobId::new("a-job_1").unwrap();
    let job = scheme.job(&id);
    let token = Source::Staged(Token::new("t").unwrap());
    let all = [
        &job.meta,
        &job.tasks,
        &job.leases,
        &job.freed,
        &job.results,
        &scheme.source(&id, &token),
        &scheme.source(&id, &Source::Plain),
    ];
    for key in all {
        assert_eq!(hash_tag(key), id.as_str(), "{key:?} lies in another slot");
    }
    assert_eq!(scheme.job_of_meta(&job.meta), Some(id));
    assert_eq!(scheme.job_of_meta(&job.tasks), None);
    assert_eq!(scheme.job_of_meta(&scheme.ledger_mark()), None);
}

/// What Redis Cluster hashes of a key.
fn hash_tag(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.map(|(tag, _)| tag)
        .filter(|tag| !tag.is_empty())
        .unwrap_or(key)
}
