//! One method a script: arguments in, the reply parsed.

use distjob_core::{
    Holder, JobId, Source, Zxid,
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, Isolated, Open, Push, PushRequest,
        Read, ReadRequest, Status, parse_freed,
    },
};
use redis::Cmd;

use super::{
    JobStore, StoreError,
    scripts::{SCRIPTS, Script},
};

/// Why a holder's ranges are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freeing {
    /// The holder itself leaves. Counts nothing.
    Leaving,
    /// The holder is [proven dead](distjob_core::Roster::proves_dead). Counts one death on each range, the first
    /// time: a holder dies once, whatever it claims before it hears of that.
    Dead,
}

impl Freeing {
    /// By how much the attempts of each range grow.
    #[must_use]
    pub const fn deaths(self) -> u32 {
        match self {
            Self::Leaving => 0,
            Self::Dead => 1,
        }
    }
}

impl JobStore {
    /// Appends tasks to the list of one submission attempt, or keeps it alive.
    ///
    /// # Errors
    /// See [the module](super). Out of memory is [told apart](StoreError::is_out_of_memory).
    pub async fn push(&self, id: &JobId, request: &PushRequest<'_>) -> Result<Push, StoreError> {
        let list = self.keys().source(id, &Source::Staged(request.source.clone()));
        let bytes = request.tasks.iter().map(Vec::len).sum::<usize>() + 128;
        let script = &SCRIPTS.push;
        let mut cmd = script.on([&list, &self.keys().job(id).meta], request.tasks.len() + 3, bytes);
        cmd.arg(request.source.as_str())
            .arg(request.offset)
            .arg(request.ttl_s);
        for task in request.tasks {
            cmd.arg(task.as_slice());
        }
        self.run(script, id, &cmd, Push::parse).await
    }

    /// Makes the source list of exactly `count` tasks (at least 1) the job of `life`.
    ///
    /// # Errors
    /// See [the module](super); rejected when `count` is 0.
    pub async fn open(
        &self,
        id: &JobId,
        life: Zxid,
        count: u64,
        source: &Source,
    ) -> Result<Open, StoreError> {
        let script = &SCRIPTS.open;
        let mut cmd = self.on_all(script, id, source);
        cmd.arg(life.to_string()).arg(count).arg(source.as_str());
        self.run(script, id, &cmd, Open::parse).await
    }

    /// Leases tasks. One holder has at most one claim under way for a job at a time.
    ///
    /// # Errors
    /// See [the module](super). After an unclear one claim again: what was granted comes back.
    pub async fn claim(&self, id: &JobId, request: &ClaimRequest<'_>) -> Result<Claim, StoreError> {
        let script = &SCRIPTS.claim;
        let keys = self.keys().job(id);
        let args = 6 + request.held.len();
        let mut cmd = script.on(
            [&keys.meta, &keys.tasks, &keys.leases, &keys.freed],
            args,
            160 + 16 * args,
        );
        cmd.arg(request.life.to_string())
            .arg(request.holder.to_string())
            .arg(request.want)
            .arg(request.bytes_max)
            .arg(request.isolate)
            .arg(u8::from(request.isolated == Isolated::Take))
            .arg(request.held);
        self.run(script, id, &cmd, Claim::parse).await
    }

    /// Records the outcomes of the first tasks of a lease.
    ///
    /// # Errors
    /// See [the module](super); rejected when there are no outcomes. After an unclear one commit again: it counts once.
    pub async fn commit(&self, id: &JobId, request: &CommitRequest<'_>) -> Result<Commit, StoreError> {
        let script = &SCRIPTS.commit;
        let keys = self.keys().job(id);
        let packed = request.outcomes.bytes();
        let mut cmd = script.on([&keys.meta, &keys.leases, &keys.results], 6, 192 + packed.len());
        cmd.arg(request.life.to_string())
            .arg(request.holder.to_string())
            .arg(request.lo)
            .arg(request.upto())
            .arg(request.outcomes.failed())
            .arg(packed);
        self.run(script, id, &cmd, Commit::parse).await
    }

    /// Gives back all ranges of a holder; how many that were. 0 also when the job is not open in this life.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn free(
        &self,
        id: &JobId,
        life: Zxid,
        holder: &Holder,
        why: Freeing,
    ) -> Result<u64, StoreError> {
        let script = &SCRIPTS.free;
        let keys = self.keys().job(id);
        let mut cmd = script.on([&keys.meta, &keys.leases, &keys.freed], 3, 128);
        cmd.arg(life.to_string())
            .arg(holder.to_string())
            .arg(why.deaths());
        self.run(script, id, &cmd, parse_freed).await
    }

    /// Reads the next tasks with their outcomes.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn read(&self, id: &JobId, request: ReadRequest) -> Result<Read, StoreError> {
        let script = &SCRIPTS.read;
        let keys = self.keys().job(id);
        let mut cmd = script.on([&keys.meta, &keys.tasks, &keys.results], 4, 128);
        cmd.arg(request.life.to_string())
            .arg(request.from)
            .arg(request.tasks_max)
            .arg(request.bytes_max);
        self.run(script, id, &cmd, |reply| Read::parse(reply, request.from))
            .await
    }

    /// What a watcher decides by. `count` is the number of tasks as the ledger has it.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn status(
        &self,
        id: &JobId,
        life: Zxid,
        count: u64,
        source: &Source,
    ) -> Result<Status, StoreError> {
        let script = &SCRIPTS.status;
        let (keys, list) = (self.keys().job(id), self.keys().source(id, source));
        let mut cmd = script.on([&keys.meta, &keys.tasks, &keys.leases, &keys.freed, &list], 2, 64);
        cmd.arg(life.to_string()).arg(count);
        self.run(script, id, &cmd, Status::parse).await
    }

    /// Leaves nothing of the job but a tombstone that lives for `ttl_s` seconds, at least 1.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn drop_job(
        &self,
        id: &JobId,
        life: Zxid,
        source: &Source,
        ttl_s: u64,
    ) -> Result<DropReply, StoreError> {
        let script = &SCRIPTS.drop;
        let mut cmd = self.on_all(script, id, source);
        cmd.arg(life.to_string()).arg(source.as_str()).arg(ttl_s);
        self.run(script, id, &cmd, DropReply::parse).await
    }

    /// Everything that is known of a job, but for payloads and outcomes.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn inspect(&self, id: &JobId, source: &Source) -> Result<Inspection, StoreError> {
        let script = &SCRIPTS.inspect;
        let cmd = self.on_all(script, id, source);
        self.run(script, id, &cmd, Inspection::parse).await
    }

    fn on_all(&self, script: &Script, id: &JobId, source: &Source) -> Cmd {
        let (keys, list) = (self.keys().job(id), self.keys().source(id, source));
        script.on(
            [
                &keys.meta,
                &keys.tasks,
                &keys.leases,
                &keys.freed,
                &keys.results,
                &list,
            ],
            3,
            128,
        )
    }
}
