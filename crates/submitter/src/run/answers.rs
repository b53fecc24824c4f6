//! How the intakes over the network answer, counted.

use distjob_runtime::metrics::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

/// Counters of answers. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Answers(Family<Labels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    intake: &'static str,
    answer: String,
}

impl Answers {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        Self(metrics.register(
            "submitter_answers",
            "Answers of the intakes: statuses of http, safe or refused lines of socket, and what redis put aside",
            Family::default(),
        ))
    }

    /// The counter of one kind of answer: a word of which there are few.
    pub(crate) fn of(&self, intake: &'static str, answer: impl Into<String>) -> Counter {
        let answer = answer.into();
        self.0.get_or_create(&Labels { intake, answer }).clone()
    }
}
