//! How large a configuration is: who takes part, and how much may go wrong.

/// How much may go wrong. In a [`World`](crate::World), how much still may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Processes that are killed. Their sessions outlive them until they expire.
    pub crashes: u8,
    /// Sessions that expire while their process lives and does not know it.
    pub expiries: u8,
    /// Requests without a reply: each may take effect at any later moment, or never.
    pub unclear: u8,
    /// Requests that are answered and executed once more, at any later moment or never.
    pub repeats: u8,
    /// Times that the store goes back to an earlier state.
    pub rollbacks: u8,
    /// Lists of tasks that reach the end of their time to live while somebody still needs them.
    pub lapses: u8,
    /// Executors that are asked to stop, and leave in good order.
    pub leaves: u8,
}

/// How a job comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submission {
    /// By `submitter`: under a token.
    Staged,
    /// By any program: `RPUSH`, `create`, and again when an earlier job of that id has ended.
    Plain,
}

/// A configuration: what the checker explores exhaustively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Its name, as the command line has it.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// Executors.
    pub executors: u8,
    /// Watchers.
    pub watchers: u8,
    /// Who submits the job; all of them the same id.
    pub submissions: &'static [Submission],
    /// Tasks of the job.
    pub tasks: u64,
    /// Most tasks of one claim.
    pub want: u64,
    /// Leases that an executor has in hand at once.
    pub slots: usize,
    /// Whether the job's sink makes a follow-up of one task.
    pub follow_up: bool,
    /// Whether an archive is made, so that the job passes through `zpd`.
    pub archive: bool,
    /// Whether an operator may cancel the job, at any moment.
    pub cancel: bool,
    /// Whether a member's views of the ledger may lag behind. Otherwise each change is seen at once by all.
    pub lag: bool,
    /// A task that kills who runs it.
    pub poison: Option<u64>,
    /// What may go wrong.
    pub faults: Faults,
}

impl Bounds {
    /// One executor, one watcher, one task, and nothing goes wrong: what all others build on.
    #[must_use]
    pub const fn plain_sailing() -> Self {
        Self {
            name: "plain-sailing",
            about: "nothing goes wrong",
            executors: 1,
            watchers: 1,
            submissions: &[Submission::Staged],
            tasks: 1,
            want: 2,
            slots: 1,
            follow_up: false,
            archive: false,
            cancel: false,
            lag: false,
            poison: None,
            faults: Faults {
                crashes: 0,
                expiries: 0,
                unclear: 0,
                repeats: 0,
                rollbacks: 0,
                lapses: 0,
                leaves: 0,
            },
        }
    }
}

impl Bounds {
    /// TEMP
    #[must_use]
    pub fn custom(mut b: Self, spec: &str) -> Self {
        for part in spec.split(',') {
            let (k, v) = part.split_once('=').unwrap_or((part, "1"));
            let n: u64 = v.parse().unwrap_or(0);
            match k {
                "e" => b.executors = n as u8,
                "w" => b.watchers = n as u8,
                "t" => b.tasks = n,
                "want" => b.want = n,
                "slots" => b.slots = n as usize,
                "f" => b.follow_up = true,
                "z" => b.archive = true,
                "c" => b.cancel = true,
                "lag" => b.lag = true,
                "poison" => b.poison = Some(n),
                "crash" => b.faults.crashes = n as u8,
                "exp" => b.faults.expiries = n as u8,
                "unc" => b.faults.unclear = n as u8,
                "rep" => b.faults.repeats = n as u8,
                "rb" => b.faults.rollbacks = n as u8,
                "lapse" => b.faults.lapses = n as u8,
                "leave" => b.faults.leaves = n as u8,
                "ss" => b.submissions = &[Submission::Staged, Submission::Staged],
                "pp" => b.submissions = &[Submission::Plain, Submission::Plain],
                _ => {}
            }
        }
        b
    }
}
