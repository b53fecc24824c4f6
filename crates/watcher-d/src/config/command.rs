//! `[sink.command]`: a program that takes each result.

use std::time::Duration;

use distjob_runtime::config::{self, Problems, duration};
use serde::{Deserialize, Serialize};

/// One argument of the program, with places that are filled for each result.
pub type Argument = config::Argument<Placeholder>;

/// What may stand in braces in an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{path}`: where the result is, for as long as the program runs.
    Path,
    /// `{manifest}`: where its manifest is.
    Manifest,
    /// `{name}`: what it is called in other sinks, with its endings.
    Name,
    /// `{id}`: the job.
    Id,
    /// `{queue}`: the kind of its work.
    Queue,
    /// `{conclusion}`: what it came to.
    Conclusion,
    /// `{key}`: the same for every delivery of this result, and for no other.
    Key,
}

impl config::Placeholder for Placeholder {
    const ALL: &'static [Self] = &[
        Self::Path,
        Self::Manifest,
        Self::Name,
        Self::Id,
        Self::Queue,
        Self::Conclusion,
        Self::Key,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Manifest => "manifest",
            Self::Name => "name",
            Self::Id => "id",
            Self::Queue => "queue",
            Self::Conclusion => "conclusion",
            Self::Key => "key",
        }
    }
}

/// The program, and what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments. No shell reads them.
    pub argv: Vec<Argument>,
    /// Which of the watcher's own variables it sees.
    pub environment: Vec<String>,
    /// From TERM to KILL.
    #[serde(with = "duration")]
    pub kill_after: Duration,
}

impl CommandConfig {
    /// Reports what cannot be used of a program that is named.
    pub(super) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        let program = self.argv.first().map(Argument::literal);
        problems.require(
            &format!("{table}.argv"),
            !matches!(program, Some(None | Some(""))),
            "must begin with the name of a program, which has no places in it",
        );
    }
}
