//! Webhook and store of objects were brought all results of their queues, each the same whenever it was brought again.

use std::collections::BTreeMap;

use super::{Case, Findings, Promise, flows::Files};
use crate::expect::{HOOKED, STORED};
use crate::history::Event;

pub(super) fn check(case: &Case<'_>, files: &Files, found: &mut Findings) {
    let mut taken = BTreeMap::<(&str, &str), Vec<&str>>::new();
    for (_, event) in case.history.events() {
        if let Event::Taken {
            outlet,
            place,
            sha256,
            ..
        } = event
        {
            taken.entry((outlet, place)).or_default().push(sha256);
        }
    }
    for (id, lives) in &case.ledger.jobs {
        let Some(file) = files.get(id) else { continue };
        for life in lives.iter().filter(|life| life.uploaded.is_some()) {
            let expected = if life.said("queue") == Some(HOOKED) {
                ("hook", format!("{id}.{:016x}", life.created))
            } else if life.said("queue") == Some(STORED) {
                ("objects", format!("/objects/{STORED}/{id}.zip"))
            } else {
                continue;
            };
            let (outlet, place) = (expected.0, expected.1.as_str());
            match taken.get(&(outlet, place)).map(Vec::as_slice) {
                Some([sha256]) if *sha256 == file.sha256 => {}
                // What a task came to may be another thing when its outcome was forgotten.
                Some(several) if several.len() > 1 && case.may_have_lost_since(0) => {}
                Some(others) => {
                    let why = format!("{outlet} has {others:?} at {place}, its file is {}", file.sha256);
                    found.add(Promise::Whole, id, why);
                }
                None => found.add(Promise::Delivered, id, format!("{outlet} has nothing at {place}")),
            }
        }
    }
}
