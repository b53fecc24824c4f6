//! What is measured.

use std::fmt;

use anyhow::Result;
use futures::future::LocalBoxFuture;

use crate::{
    bench::Bench,
    figures::{
        delivery, fanout, handlers, large, members, memory, peers, revisions, sharing, small, submit, tails,
        takeover, throughput, waiting,
    },
    report::Report,
};

/// One thing that is measured: rows of the table, and a picture.
pub(crate) struct Figure {
    /// How it is asked for.
    pub(crate) name: &'static str,
    /// What it tells, in a line.
    pub(crate) about: &'static str,
    /// Whether it takes minutes, so that it runs only when it is named (or quickly).
    pub(crate) is_long: bool,
    /// Measures.
    pub(crate) run: Measure,
}

/// Measures, and puts what comes out into the report. A row that is there stays when the rest fails.
pub(crate) type Measure = for<'a> fn(&'a Bench, &'a mut Report) -> LocalBoxFuture<'a, Result<()>>;

/// The name of the one that is measured when there are other programs to compare with.
pub(crate) const REVISIONS: &str = "revisions";

/// All of them, in the order of the report.
pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "throughput",
        about: "trivial tasks a second, submission to delivered files, beside the naive use of Redis",
        is_long: false,
        run: |bench, report| Box::pin(throughput::measure(bench, report)),
    },
    Figure {
        name: "peers",
        about: "trivial tasks a second, beside BullMQ, Sidekiq, Celery, RQ and apalis-redis",
        is_long: false,
        run: |bench, report| Box::pin(peers::measure(bench, report)),
    },
    Figure {
        name: "submit",
        about: "lines a second from a pipe to a job, beside `redis-cli --pipe`",
        is_long: false,
        run: |bench, report| Box::pin(submit::measure(bench, report)),
    },
    Figure {
        name: "small",
        about: "jobs of one task: how long one takes, how many a second, what each costs, beside the ledger's writes alone",
        is_long: false,
        run: |bench, report| Box::pin(small::measure(bench, report)),
    },
    Figure {
        name: "delivery",
        about: "the last commit of a job to its durable result, beside the writes and the sync in between alone",
        is_long: false,
        run: |bench, report| Box::pin(delivery::measure(bench, report)),
    },
    Figure {
        name: "takeover",
        about: "SIGKILL of an executor to its ranges running elsewhere, beside the session timeout",
        is_long: false,
        run: |bench, report| Box::pin(takeover::measure(bench, report)),
    },
    Figure {
        name: "memory",
        about: "what Redis keeps of a task, submitted, running and done, beside the same data raw",
        is_long: false,
        run: |bench, report| Box::pin(memory::measure(bench, report)),
    },
    Figure {
        name: "handlers",
        about: "processes beside xargs, workers beside a program for each task, functions",
        is_long: false,
        run: |bench, report| Box::pin(handlers::measure(bench, report)),
    },
    Figure {
        name: "tails",
        about: "the ends of jobs: how long slots have nothing to do while the last tasks run",
        is_long: false,
        run: |bench, report| Box::pin(tails::measure(bench, report)),
    },
    Figure {
        name: "fanout",
        about: "what ZooKeeper spends on each event, write and read while many sessions watch",
        is_long: true,
        run: |bench, report| Box::pin(fanout::measure(bench, report)),
    },
    Figure {
        name: "sharing",
        about: "jobs that change hands when a member comes or goes, beside the ideal",
        is_long: false,
        run: |bench, report| Box::pin(async { sharing::measure(bench, report) }),
    },
    Figure {
        name: "members",
        about: "2, 8 and 32 executors on one job: throughput, and what it costs the stores",
        is_long: true,
        run: |bench, report| Box::pin(members::measure(bench, report)),
    },
    Figure {
        name: "waiting",
        about: "up to 300,000 jobs that wait: memory and time of those who know of them",
        is_long: true,
        run: |bench, report| Box::pin(waiting::measure(bench, report)),
    },
    Figure {
        name: "large",
        about: "one job of ten million tasks: submitted, run, delivered as zstd and as zip, read by standard tools",
        is_long: true,
        run: |bench, report| Box::pin(large::measure(bench, report)),
    },
    Figure {
        name: REVISIONS,
        about: "two sets of programs: throughput, small jobs and submissions of the one by those of the other",
        is_long: true,
        run: |bench, report| Box::pin(revisions::measure(bench, report)),
    },
];

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let long = if self.is_long { " (only when named)" } else { "" };
        write!(f, "{:<12} {}{long}", self.name, self.about)
    }
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
