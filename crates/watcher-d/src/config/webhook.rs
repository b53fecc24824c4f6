//! `[sink.webhook]`: a URL that is told of each result.

use std::{collections::BTreeMap, path::PathBuf};

use distjob_runtime::config::{Problems, Statuses};
use serde::{Deserialize, Serialize};

use crate::sink::webhook;

/// Whom to tell, and how to know that it was understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// `http://` or `https://`.
    pub url: String,
    /// What requests are signed with; empty: they are not. May be a [recipe](distjob_runtime::config::Recipe).
    pub secret: String,
    /// Statuses that say that the result is known there.
    pub expected: Statuses,
    /// A PEM file of certificate authorities that are trusted beside those of the system; empty: none.
    pub ca_file: PathBuf,
    /// What else to send; values may be [recipes](distjob_runtime::config::Recipe).
    pub headers: BTreeMap<String, String>,
}

impl WebhookConfig {
    /// Reports what cannot be used. Reads the files and variables that it names.
    pub(super) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.expected"),
            !self.expected.is_empty(),
            "must name a status: with none, nothing would ever be delivered",
        );
        for (key, problem) in webhook::problems(self) {
            problems.report(&format!("{table}.{key}"), problem);
        }
    }
}
