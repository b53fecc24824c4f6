//! Sinks that do not take the results of jobs, as the watchers that try say it.

use std::fmt::{self, Formatter};

use anyhow::Context as _;
use distjob_core::{JobEntry, JobId, JobState, trouble::SinkTrouble};
use distjob_runtime::reach::Reach;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::{
    output::{counted, since, span, table},
    survey::Survey,
};

/// Questions that are under way at once.
const AT_ONCE: usize = 256;

/// A sink that does not take the result of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    pub(crate) job: String,
    #[serde(flatten)]
    pub(crate) about: SinkTrouble,
}

/// What a watcher said of a job last, if it is in trouble.
pub(crate) async fn of_job(reach: &Reach, id: &JobId) -> anyhow::Result<Option<SinkTrouble>> {
    reach
        .redis(|| reach.store().trouble(id))
        .await
        .with_context(|| format!("ask redis about job {id}"))
}

/// Those of all jobs that wait for their sinks, by the jobs' ids.
pub(crate) async fn of_all(reach: &Reach, survey: &Survey) -> anyhow::Result<Vec<Trouble>> {
    let waits =
        |(_, entry): &(&JobId, &JobEntry)| matches!(entry.data.state, JobState::Processed | JobState::Zipped);
    stream::iter(survey.jobs.iter().filter(waits))
        .map(|(id, _)| async move {
            let about = of_job(reach, id).await?;
            anyhow::Ok(about.map(|about| Trouble {
                job: id.to_string(),
                about,
            }))
        })
        .buffered(AT_ONCE)
        .try_filter_map(|trouble| async move { Ok(trouble) })
        .try_collect()
        .await
}

/// In one line, for people.
pub(crate) fn told(about: &SinkTrouble) -> String {
    let more = match about.others.len() {
        0 => String::new(),
        more => format!(" and {}", counted(more as u64, "other sink")),
    };
    format!(
        "sink {}{more} does not take it, for {}, after {} by watcher {}: {}",
        about.sink,
        span(since(about.since_ms)),
        counted(about.attempts.into(), "attempt"),
        about.watcher,
        one_line(&about.error)
    )
}

/// A table of them, for people; nothing without any.
pub(crate) fn show(f: &mut Formatter<'_>, troubles: &[Trouble]) -> fmt::Result {
    if troubles.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{} in trouble with a sink:",
        counted(troubles.len() as u64, "job")
    )?;
    let rows: Vec<_> = troubles
        .iter()
        .map(|Trouble { job, about }| {
            [
                job.clone(),
                about.sink.to_string(),
                about.attempts.to_string(),
                span(since(about.since_ms)),
                one_line(&about.error),
            ]
        })
        .collect();
    f.write_str(&table(["JOB", "SINK", "ATTEMPTS", "FOR", "WHY"], &rows))
}

/// What a sink says may be anything.
fn one_line(error: &str) -> String {
    error
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use distjob_core::{MemberName, SinkName};

    use super::*;

    struct Shown(Vec<Trouble>);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            show(f, &self.0)
        }
    }

    #[test]
    fn people_see_which_sink_does_not_take_what_and_why() {
        let about = SinkTrouble {
            sink: SinkName::new("mail").unwrap(),
            error: "no\nroom".to_owned(),
            since_ms: u64::MAX,
            attempts: 3,
            watcher: MemberName::new("alpha-42").unwrap(),
            next_ms: 0,
            others: vec![SinkName::new("hook").unwrap()],
        };
        assert_eq!(
            told(&about),
            "sink mail and 1 other sink does not take it, for 0s, after 3 attempts by watcher alpha-42: no room"
        );
        let trouble = Trouble {
            job: "a".to_owned(),
            about,
        };
        assert_eq!(
            Shown(vec![trouble]).to_string(),
            "
1 job in trouble with a sink:
JOB  SINK  ATTEMPTS  FOR  WHY
a    mail  3         0s   no room
"
        );
        assert_eq!(Shown(Vec::new()).to_string(), "");
    }
}
