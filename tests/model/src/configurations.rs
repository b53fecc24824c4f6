//! The configurations: each is explored exhaustively, and puts its weight on something else.
//!
//! All together would be too large to explore; what one leaves out another has. The first ones take seconds, and run
//! with the tests; the last ones take minutes or hours, and run from the
//! command line.

use crate::bounds::{Bounds, Faults, Lag, Submission};

/// Nothing goes wrong.
const NO_FAULTS: Faults = Faults {
    crashes: 0,
    expiries: 0,
    unclear: 0,
    repeats: 0,
    rollbacks: 0,
    lapses: 0,
    leaves: 0,
    releases: 0,
};

/// One executor, one watcher, one task, and nothing goes wrong: what all others build on.
const PLAIN_SAILING: Bounds = Bounds {
    name: "plain-sailing",
    about: "one of each, and nothing goes wrong",
    executors: 1,
    watchers: 1,
    submissions: &[Submission::Staged],
    tasks: 1,
    want: 2,
    slots: 1,
    disorder: false,
    follow_up: false,
    archive: false,
    cancel: false,
    lag: Lag::Nobody,
    poison: None,
    gaps: false,
    faults: NO_FAULTS,
};

/// One process is killed.
const ONE_CRASH: Faults = Faults {
    crashes: 1,
    ..NO_FAULTS
};

/// One request is unclear.
const ONE_UNCLEAR: Faults = Faults {
    unclear: 1,
    ..NO_FAULTS
};

/// One process is killed, and one request is unclear.
const CRASH_AND_UNCLEAR: Faults = Faults {
    unclear: 1,
    ..ONE_CRASH
};

/// One process is killed, and the store goes back once.
const CRASH_AND_ROLLBACK: Faults = Faults {
    rollbacks: 1,
    ..ONE_CRASH
};

const fn with(name: &'static str, about: &'static str, faults: Faults) -> Bounds {
    Bounds {
        name,
        about,
        faults,
        ..PLAIN_SAILING
    }
}

/// Those that are explored within seconds.
pub const SMALL: &[Bounds] = &[
    PLAIN_SAILING,
    Bounds {
        executors: 2,
        watchers: 2,
        tasks: 3,
        ..with("crash", "two of each, three tasks, one is killed", ONE_CRASH)
    },
    Bounds {
        executors: 2,
        watchers: 2,
        tasks: 3,
        ..with(
            "zombie",
            "two of each, three tasks, a session expires whose process does not know it",
            Faults {
                expiries: 1,
                ..NO_FAULTS
            },
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        slots: 2,
        ..with(
            "unclear",
            "two executors with two leases at once, one request is unclear",
            ONE_UNCLEAR,
        )
    },
    Bounds {
        executors: 2,
        follow_up: true,
        ..with(
            "repeat",
            "two executors, a follow-up, a script is executed twice",
            Faults {
                repeats: 1,
                ..NO_FAULTS
            },
        )
    },
    Bounds {
        tasks: 2,
        ..with(
            "crash-and-unclear",
            "one is killed, one request is unclear",
            CRASH_AND_UNCLEAR,
        )
    },
    Bounds {
        follow_up: true,
        watchers: 2,
        ..with("follow-up", "two watchers, a follow-up, one is killed", ONE_CRASH)
    },
    Bounds {
        follow_up: true,
        cancel: true,
        ..with(
            "cancel",
            "a follow-up, an operator cancels, one request is unclear",
            ONE_UNCLEAR,
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        ..with(
            "rollback",
            "two executors, the store goes back",
            Faults {
                rollbacks: 1,
                ..NO_FAULTS
            },
        )
    },
    Bounds {
        archive: true,
        ..with(
            "archive",
            "the job passes zpd, one is killed, the store goes back",
            CRASH_AND_ROLLBACK,
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        ..with(
            "leave",
            "two executors, one leaves in good order",
            Faults {
                leaves: 1,
                ..NO_FAULTS
            },
        )
    },
    Bounds {
        executors: 2,
        tasks: 2,
        poison: Some(0),
        ..with("poison", "two executors, a task kills who runs it", NO_FAULTS)
    },
    Bounds {
        lag: Lag::Executors,
        executors: 2,
        tasks: 2,
        ..with(
            "lagging-executors",
            "two executors that may not have heard of each other",
            NO_FAULTS,
        )
    },
    Bounds {
        lag: Lag::Watchers,
        watchers: 2,
        ..with(
            "lagging-watchers",
            "two watchers with old views of the jobs, one request is unclear",
            ONE_UNCLEAR,
        )
    },
    Bounds {
        submissions: &[Submission::Staged, Submission::Staged],
        ..with(
            "resubmission",
            "two submitters of one id, one request is unclear",
            ONE_UNCLEAR,
        )
    },
    Bounds {
        submissions: &[Submission::Plain, Submission::Plain],
        ..with(
            "reuse",
            "an id is used again, one is killed, one request is unclear",
            CRASH_AND_UNCLEAR,
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        want: 3,
        disorder: true,
        ..with(
            "disorder",
            "two executors commit in any order, one request is unclear",
            ONE_UNCLEAR,
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        want: 3,
        disorder: true,
        ..with(
            "disorder-and-rollback",
            "two executors commit in any order, the store goes back",
            Faults {
                rollbacks: 1,
                ..NO_FAULTS
            },
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        want: 3,
        slots: 2,
        disorder: true,
        ..with(
            "release",
            "two executors with two leases at once, one gives back a part, one request is unclear",
            Faults {
                unclear: 1,
                releases: 1,
                ..NO_FAULTS
            },
        )
    },
    Bounds {
        executors: 2,
        tasks: 2,
        slots: 2,
        ..with(
            "release-and-crash",
            "two executors, one gives back a part of a lease, one is killed",
            Faults {
                releases: 1,
                ..ONE_CRASH
            },
        )
    },
    with(
        "lapse",
        "the tasks of a submission expire while it is held up",
        Faults {
            lapses: 1,
            ..ONE_CRASH
        },
    ),
];

/// Those that take minutes or hours.
pub const LARGE: &[Bounds] = &[
    Bounds {
        executors: 2,
        watchers: 2,
        tasks: 3,
        follow_up: true,
        ..with(
            "large-crash",
            "two of each, three tasks, a follow-up, one is killed",
            ONE_CRASH,
        )
    },
    Bounds {
        executors: 2,
        watchers: 2,
        tasks: 3,
        follow_up: true,
        cancel: true,
        ..with(
            "large-cancel",
            "two of each, three tasks, a follow-up, an operator cancels, one request is unclear",
            ONE_UNCLEAR,
        )
    },
    Bounds {
        executors: 2,
        watchers: 2,
        tasks: 3,
        ..with(
            "large-zombie",
            "two of each, three tasks, a zombie, one is killed",
            Faults {
                expiries: 1,
                ..ONE_CRASH
            },
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        ..with(
            "large-replies",
            "two executors, three tasks, one is killed, one request is unclear",
            CRASH_AND_UNCLEAR,
        )
    },
    Bounds {
        executors: 2,
        tasks: 3,
        ..with(
            "large-rollback",
            "two executors, three tasks, one is killed, the store goes back",
            CRASH_AND_ROLLBACK,
        )
    },
    Bounds {
        executors: 2,
        tasks: 2,
        slots: 2,
        ..with(
            "large-release",
            "two executors, parts are given back twice, one is killed, a script is executed twice",
            Faults {
                repeats: 1,
                releases: 2,
                ..ONE_CRASH
            },
        )
    },
    Bounds {
        ..with(
            "large-mix",
            "one is killed, one request is unclear, the store goes back",
            Faults {
                unclear: 1,
                ..CRASH_AND_ROLLBACK
            },
        )
    },
    Bounds {
        lag: Lag::Executors,
        executors: 2,
        tasks: 2,
        ..with(
            "large-lag",
            "two executors that may not have heard of each other, one is killed",
            ONE_CRASH,
        )
    },
    Bounds {
        submissions: &[Submission::Staged, Submission::Staged],
        ..with(
            "large-resubmission",
            "two submitters of one id, one is killed, one request is unclear",
            CRASH_AND_UNCLEAR,
        )
    },
];

/// What falls into the known gaps: explored to show that they are there, and what they are.
pub const GAPS: Bounds = Bounds {
    watchers: 2,
    gaps: true,
    ..with(
        "gaps",
        "a late request gives back the next lock",
        Faults {
            rollbacks: 1,
            ..ONE_UNCLEAR
        },
    )
};

impl Bounds {
    /// The configuration of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SMALL
            .iter()
            .chain(LARGE)
            .chain([&GAPS])
            .find(|bounds| bounds.name == name)
    }
}
