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
    /// Times that an executor gives back the end of a lease, which it will not come to soon.
    pub releases: u8,
}

/// How a job comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submission {
    /// By `submitter`: under a token.
    Staged,
    /// By any program: `RPUSH`, `create`, and again when an earlier job of that id has ended.
    Plain,
}

/// Whose views of the ledger may lag behind. Where some do, nobody is registered at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lag {
    /// Each change is seen at once by all that are connected.
    Nobody,
    /// Executors may not have heard of the newest jobs and members.
    Executors,
    /// Watchers may not have heard of the newest jobs.
    Watchers,
    /// Neither.
    All,
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
    /// Whether the tasks of a lease are committed in any order: a handler runs several at once, or one waits before it is
    /// tried again.
    pub disorder: bool,
    /// Whether the job's sink makes a follow-up of one task.
    pub follow_up: bool,
    /// Whether an archive is made, so that the job passes through `zpd`.
    pub archive: bool,
    /// Whether an operator may cancel the job, at any moment.
    pub cancel: bool,
    /// Whose views of the ledger may lag behind.
    pub lag: Lag,
    /// A task that kills who runs it.
    pub poison: Option<u64>,
    /// Whether late requests fall into the known gaps of what ZooKeeper can compare; see [the crate](crate).
    pub gaps: bool,
    /// What may go wrong.
    pub faults: Faults,
}
