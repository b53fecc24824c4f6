//! What jobs and members cost the stores: the formulas, and what they say for any load.
//!
//! Counts follow from the protocol and are checked against whole daemons, in simulations and by the benchmark's figure `small`
//! on real servers. Prices are processor times, which its figure `fanout` measures. A small job is one that is over before
//! others than its owners look at it; that is what most jobs are where there are very many.

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// Executors, all of which serve the job's queue.
    pub executors: u64,
    /// Watchers.
    pub watchers: u64,
}

impl Members {
    /// All of them.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.executors + self.watchers
    }
}

/// What a job is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// How many tasks it has.
    pub tasks: u64,
    /// How many go into one push.
    pub push: u64,
    /// How many go into one claim, on average; a commit has the same, or fewer.
    pub claim: u64,
    /// How many a watcher reads at once.
    pub slice: u64,
}

/// What a job costs the stores from its first push to its deleted znode, if nothing goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Transactions of the ledger.
    pub writes: u64,
    /// Events that watches tell, all members together.
    pub events: u64,
    /// Times that a job's znode is read by members, where nobody but its owners looks at it.
    pub reads: u64,
    /// The same where it lasts so long that everybody does: half a second in each state.
    pub reads_of_lasting: u64,
    /// Scripts of the store, where only the owner asks for claims.
    pub scripts: u64,
}

impl Bill {
    /// Of one job.
    #[must_use]
    pub const fn of(job: Job, members: Members) -> Self {
        // Created, processed, locked, uploaded, deleted; the lock is nowhere that anybody watches.
        let writes = 5;
        let events = (writes - 1) * members.all();
        // The look of a submitter before and after it creates, the executor's at what was created, the watcher's at what is
        // processed, and each one's at what it is going to write to.
        let reads = 6;
        // An empty push says that the list lives on, and the answers of `open` and of a last claim say how it stands.
        let submission = job.tasks.div_ceil(job.push) + 1 + 2 + 1;
        let execution = 1 + 2 * job.tasks.div_ceil(job.claim) + 2;
        let delivery = 1 + job.tasks.div_ceil(job.slice) + 1;
        Self {
            writes,
            events,
            reads,
            reads_of_lasting: reads + 3 * members.all(),
            scripts: submission + execution + delivery,
        }
    }
}

/// What things cost one server of ZooKeeper: processor time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// A write.
    pub write_us: f64,
    /// An event, told to one session.
    pub event_us: f64,
    /// A read with a request of its own.
    pub read_us: f64,
}

impl Prices {
    /// As they were measured with two cores and Debian's server 3.8; an event where writes come one by one, as in a calm
    /// cluster, and so without sharing a packet with others.
    pub const MEASURED: Self = Self {
        write_us: 48.0,
        event_us: 7.0,
        read_us: 39.0,
    };
}

/// Events a second that a server has told at most, in the same measurement.
pub const EVENTS_PER_SECOND_MAX: f64 = 280_000.0;

/// How busy each server of an ensemble is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Writes a second: every server does each of them.
    pub writes_per_s: f64,
    /// Events a second that each server tells.
    pub events_per_s: f64,
    /// Cores for writes.
    pub write_cores: f64,
    /// Cores for events.
    pub event_cores: f64,
    /// Cores for reads.
    pub read_cores: f64,
}

impl Load {
    /// Of small jobs, so many a second, where the members are connected to `servers` evenly and are parted into `cells`
    /// that have a root each, on this one ensemble.
    #[must_use]
    pub fn of(jobs_per_s: f64, members: Members, servers: u32, cells: u32, prices: Prices) -> Self {
        let job = Job {
            tasks: 1,
            push: 1,
            claim: 1,
            slice: 1,
        };
        let bill = Bill::of(job, members);
        let servers = f64::from(servers);
        let writes_per_s = jobs_per_s * bill.writes as f64;
        let events_per_s = jobs_per_s * bill.events as f64 / f64::from(cells) / servers;
        let reads_per_s = jobs_per_s * bill.reads as f64 / servers;
        let cores = |per_s: f64, us: f64| per_s * us / 1e6;
        Self {
            writes_per_s,
            events_per_s,
            write_cores: cores(writes_per_s, prices.write_us),
            event_cores: cores(events_per_s, prices.event_us),
            read_cores: cores(reads_per_s, prices.read_us),
        }
    }

    /// All cores of one server.
    #[must_use]
    pub fn cores(self) -> f64 {
        self.write_cores + self.event_cores + self.read_cores
    }
}

/// How many members a root bears at so many jobs a second, if its servers may tell half the events that they can.
#[must_use]
pub fn members_max(jobs_per_s: f64, servers: u32) -> f64 {
    EVENTS_PER_SECOND_MAX / 2.0 * f64::from(servers) / (4.0 * jobs_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION_AN_HOUR: f64 = 1e6 / 3600.0;

    fn load(members: u64, servers: u32, cells: u32) -> Load {
        let members = Members {
            executors: members * 3 / 4,
            watchers: members / 4,
        };
        Load::of(MILLION_AN_HOUR, members, servers, cells, Prices::MEASURED)
    }

    #[test]
    fn three_servers_bear_a_million_jobs_an_hour_among_three_hundred_members_and_cells_carry_a_thousand() {
        let (few, many, parted) = (load(300, 3, 1), load(1000, 3, 1), load(1000, 3, 4));
        assert!(few.cores() < 1.0, "{few:?}");
        assert!(few.events_per_s < EVENTS_PER_SECOND_MAX / 2.0, "{few:?}");
        assert!(many.events_per_s > EVENTS_PER_SECOND_MAX, "{many:?}");
        assert!(parted.events_per_s < EVENTS_PER_SECOND_MAX / 2.0, "{parted:?}");
    }

    #[test]
    fn a_root_bears_as_many_members_as_leave_half_of_its_servers_events_unused() {
        let members = members_max(MILLION_AN_HOUR, 3);
        assert!((members - 378.0).abs() < 1.0, "{members}");
        let rest = load(members as u64, 3, 1).events_per_s / (EVENTS_PER_SECOND_MAX / 2.0);
        assert!((rest - 1.0).abs() < 0.02, "{rest}");
    }
}
