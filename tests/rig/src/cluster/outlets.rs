//! What watchers deliver to besides files: a webhook and a store of objects, which are the rig's own and can be made to fail.
//!
//! Both are one HTTP server beside the rig: `POST /hook` and `PUT /objects/…`. What it took is judged at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use harness::{Received, Receiver, Reply, Then};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::history::{Event, Recorder};
use crate::net::Host;

/// How long a delivery may take that makes no progress: shorter than the outlets are slow.
const TIMEOUT: &str = "2s";

/// How the outlets treat what is brought to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// They take it.
    #[default]
    Well,
    /// They answer with a status of 500 or more, and say when to come again.
    Refusing,
    /// They take it, and reset the connection instead of an answer.
    Cutting,
    /// They take nothing, and never come to the end of an answer.
    Stalling,
}

/// What was taken: of each place, or of each key, how often with which digest.
type Taken = BTreeMap<(&'static str, String, String), u64>;

/// Both outlets.
#[derive(Debug)]
pub struct Outlets {
    receiver: Receiver,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    mood: Mutex<Mood>,
    taken: Mutex<Taken>,
}

impl Outlets {
    /// Opens them on the rig's own host.
    pub(super) async fn open(rig: &Host) -> Result<Outlets> {
        let desk = Arc::<Desk>::default();
        let at_desk = Arc::clone(&desk);
        let receiver = Receiver::start_on(rig.ip(), move |request| at_desk.answer(request)).await?;
        Ok(Outlets { receiver, desk })
    }

    /// How they treat what is brought to them from now on.
    pub fn set_mood(&self, mood: Mood) {
        *self.desk.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Writes down what they took.
    pub fn record(&self, recorder: &Recorder) {
        let taken = self.desk.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for ((outlet, place, sha256), times) in &*taken {
            recorder.record(Event::Taken {
                outlet: (*outlet).to_owned(),
                place: place.clone(),
                sha256: sha256.clone(),
                times: *times,
            });
        }
    }

    /// The tables of watchers that deliver to them.
    pub(super) fn tables(&self) -> String {
        let (hook, objects) = (self.receiver.url("/hook"), self.receiver.url("/objects"));
        format!(
            "[sinks.hook]\nkind = \"webhook\"\ntimeout = {TIMEOUT:?}\n[sinks.hook.webhook]\nurl = {hook:?}\nsecret = \"rig\"\n\
             [sinks.objects]\nkind = \"objects\"\ntimeout = {TIMEOUT:?}\n[sinks.objects.objects]\nurl = {objects:?}\n"
        )
    }
}

impl Desk {
    fn answer(&self, request: &Received) -> Reply {
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        match mood {
            Mood::Refusing => return Reply::status(503, &[("Retry-After", "1")], "not now"),
            Mood::Stalling => return Reply::raw("HTTP/1.1 200 OK\r\nConte").then(Then::Stall),
            Mood::Well | Mood::Cutting => {}
        }
        let mut words = request.line.split(' ');
        match (words.next(), words.next()) {
            (Some("POST"), Some("/hook")) => {
                self.take("hook", request.header("idempotency-key"), told(&request.body));
            }
            (Some("PUT"), Some(path)) => self.take("objects", path, digest(&request.body)),
            _ => return Reply::status(405, &[], ""),
        }
        match mood {
            Mood::Cutting => Reply::raw("").then(Then::Reset),
            _ => Reply::status(201, &[], ""),
        }
    }

    fn take(&self, outlet: &'static str, place: &str, sha256: String) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.entry((outlet, place.to_owned(), sha256)).or_default() += 1;
    }
}

/// The digest that a manifest tells of.
fn told(manifest: &[u8]) -> String {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    manifest["sha256"].as_str().unwrap_or_default().to_owned()
}

fn digest(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
