//! How the server executes what arrives.

use std::{collections::VecDeque, time::Duration};

use distjob_core::{
    Holder, JobData, JobId, QueueName, Source, TaskRange, Token, Zxid,
    rate::{Bucket, Limit, Tokens},
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, MetaState, Open, Push,
        PushRequest, Read, ReadRequest, ReleaseRequest, Status,
    },
};
use distjob_runtime::store::{Freeing, Memory, MetaEntry, MetaPage};
use tokio::time::Instant;

use super::{
    Redis, Refusal,
    bug::{self, Bug},
    keys::{Job, Keys},
    record::{DeadFreed, Record},
};

/// So many writes can be lost.
const TAIL_MAX: usize = 128;

/// The server.
#[derive(Default)]
pub(super) struct State {
    pub(super) keys: Keys,
    tail: VecDeque<Write>,
    pub(super) refusal: Option<Refusal>,
    pub(super) bug: Option<Bug>,
    pub(super) record: Record,
    /// When its clock was looked at first.
    born: Option<Instant>,
}

/// A write, and how to undo it.
struct Write {
    before: Before,
    /// The outcomes that it made stand.
    outcomes: Option<(Zxid, TaskRange)>,
}

enum Before {
    Job(JobId, Box<Job>),
    Mark(Option<Zxid>),
    Bucket(QueueName, Option<Bucket>),
}

/// What a call does to the amount of data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// A script or command that stores more.
    Grows,
    /// A script: it may write, but goes on without memory.
    Script,
    /// A command that only reads.
    Reads,
}

pub(super) type Answer<T> = Result<T, Refusal>;

impl State {
    pub(super) fn admit(&mut self, access: Access) -> Answer<()> {
        let refusal = self.refusal.filter(|refusal| match refusal {
            Refusal::Loading => true,
            Refusal::ReadOnly => access != Access::Reads,
            Refusal::NoMemory => access == Access::Grows,
        });
        self.record.counts.refused += u64::from(refusal.is_some());
        refusal.map_or(Ok(()), Err)
    }

    fn remember(&mut self, write: Write) {
        if self.tail.len() == TAIL_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back(write);
    }

    /// Notes that the last write made these outcomes stand.
    fn committed(&mut self, id: &JobId, life: Zxid, holder: &Holder, range: TaskRange) {
        self.record.commit(id, life, holder, range);
        if let Some(write) = self.tail.back_mut() {
            write.outcomes = Some((life, range));
        }
    }

    pub(super) fn undo(&mut self, writes: usize) -> usize {
        let mut undone = 0;
        while undone < writes
            && let Some(Write { before, outcomes }) = self.tail.pop_back()
        {
            undone += 1;
            match before {
                Before::Mark(mark) => self.keys.mark = mark,
                Before::Bucket(queue, None) => drop(self.keys.buckets.remove(&queue)),
                Before::Bucket(queue, Some(bucket)) => drop(self.keys.buckets.insert(queue, bucket)),
                Before::Job(id, job) => {
                    if let Some((life, range)) = outcomes {
                        self.record.uncommit(&id, life, range);
                    }
                    self.keys.put(&id, *job);
                    self.record.damaged.insert(id);
                }
            }
        }
        self.record.counts.lost_writes += undone as u64;
        undone
    }

    pub(super) fn empty(&mut self) {
        let ids = self.keys.ids();
        self.record.damaged.extend(ids);
        self.record.outcomes.clear();
        self.keys.clear();
        self.tail.clear();
    }
}

impl Redis {
    /// Runs a script on the keys of one job.
    fn script<T: std::fmt::Debug>(
        &self,
        name: &'static str,
        access: Access,
        id: &JobId,
        run: impl FnOnce(&mut Job, Option<Bug>) -> T,
    ) -> Answer<T> {
        self.script_and(name, access, id, run, |_, _| ())
    }

    /// Runs a script on the keys of one job, and `after` it what its answer means for the records.
    fn script_and<T: std::fmt::Debug>(
        &self,
        name: &'static str,
        access: Access,
        id: &JobId,
        run: impl FnOnce(&mut Job, Option<Bug>) -> T,
        after: impl FnOnce(&mut State, &T),
    ) -> Answer<T> {
        let mut state = self.state();
        state.admit(access)?;
        state.record.counts.scripts += 1;
        let mut job = state.keys.take(id);
        let before = Box::new(job.clone());
        let answer = run(&mut job, state.bug);
        state.record.check(id, &job.model, name);
        let has_changed = *before != job;
        if has_changed {
            state.remember(Write {
                before: Before::Job(id.clone(), before),
                outcomes: None,
            });
        }
        state.keys.put(id, job);
        after(&mut state, &answer);
        drop(state);
        self.0.trace.mark(name.as_bytes());
        self.0.trace.mark(id.as_str().as_bytes());
        self.0.trace.mark(&[u8::from(has_changed)]);
        self.note(|| format!("redis {name} {id}: {answer:?}"));
        Ok(answer)
    }

    pub(super) fn append_plain(&self, id: &JobId, tasks: Vec<Vec<u8>>) -> Answer<()> {
        self.script("rpush", Access::Grows, id, |job, _| {
            let list = job.model.sources.entry(Source::Plain).or_default();
            list.extend(tasks);
        })
    }

    pub(super) fn push(
        &self,
        id: &JobId,
        token: &Token,
        offset: u64,
        ttl_s: u64,
        tasks: &[Vec<u8>],
    ) -> Answer<Push> {
        let access = match tasks.is_empty() {
            true => Access::Script,
            false => Access::Grows,
        };
        self.script("push", access, id, |job, _| {
            let answer = job.model.push(&PushRequest {
                source: token,
                offset,
                ttl_s,
                tasks,
            });
            if matches!(answer, Push::Ok(_)) {
                job.keep_source(&Source::Staged(token.clone()), in_seconds(ttl_s));
            }
            answer
        })
    }

    pub(super) fn open(&self, id: &JobId, life: Zxid, count: u64, source: &Source) -> Answer<Open> {
        self.script("open", Access::Script, id, |job, _| {
            job.model.open(life, count, source)
        })
    }

    pub(super) fn claim(&self, id: &JobId, request: &ClaimRequest<'_>) -> Answer<Claim> {
        self.script("claim", Access::Script, id, |job, bug| {
            bug::claim(bug, &mut job.model, request)
        })
    }

    pub(super) fn commit(&self, id: &JobId, request: &CommitRequest<'_>) -> Answer<Commit> {
        self.script_and(
            "commit",
            Access::Script,
            id,
            |job, bug| bug::commit(bug, &mut job.model, request),
            |state, answer| match TaskRange::new(request.lo, request.upto()) {
                Some(range) if answer.accepted => state.committed(id, request.life, request.holder, range),
                _ => state.record.counts.commits_refused += 1,
            },
        )
    }

    pub(super) fn release(&self, id: &JobId, request: &ReleaseRequest<'_>) -> Answer<Commit> {
        self.script("release", Access::Script, id, |job, _| job.model.release(request))
    }

    pub(super) fn free(&self, id: &JobId, life: Zxid, holder: &Holder, why: Freeing) -> Answer<u64> {
        self.script_and(
            "free",
            Access::Script,
            id,
            |job, _| job.model.free(life, holder, why.deaths()),
            |state, ranges| {
                if *ranges > 0 && why == Freeing::Dead {
                    state.record.dead_freed.push(DeadFreed {
                        at: Instant::now(),
                        id: id.clone(),
                        life,
                        holder: holder.clone(),
                        ranges: *ranges,
                    });
                }
            },
        )
    }

    pub(super) fn read(&self, id: &JobId, request: ReadRequest) -> Answer<Read> {
        self.script("read", Access::Script, id, |job, _| job.model.read(request))
    }

    pub(super) fn status(&self, id: &JobId, life: Zxid, count: u64, source: &Source) -> Answer<Status> {
        self.script("status", Access::Script, id, |job, _| {
            job.model.status(life, count, source)
        })
    }

    pub(super) fn staged(&self, id: &JobId, source: &Source, from: u64, most: u64) -> Answer<Vec<Vec<u8>>> {
        self.script("staged", Access::Script, id, |job, _| {
            job.model.staged(source, from, most)
        })
    }

    pub(super) fn drop_job(
        &self,
        id: &JobId,
        life: Zxid,
        source: &Source,
        ttl_s: u64,
        last: Option<&JobData>,
    ) -> Answer<DropReply> {
        self.script("drop", Access::Script, id, |job, bug| {
            let answer = bug::drop_job(bug, &mut job.model, life, source, last);
            if answer == DropReply::Dropped {
                job.keep_tombstone(in_seconds(ttl_s));
            }
            answer
        })
    }

    pub(super) fn inspect(&self, id: &JobId, source: &Source) -> Answer<Inspection> {
        self.script("inspect", Access::Script, id, |job, _| Inspection {
            meta_ttl_s: job.tombstone_ttl_s(),
            ..job.model.inspect(source)
        })
    }

    pub(super) fn take_tokens(&self, queue: &QueueName, limit: Limit, want: u32) -> Answer<Tokens> {
        let mut state = self.state();
        state.admit(Access::Script)?;
        let born = *state.born.get_or_insert_with(Instant::now);
        let now_us = born.elapsed().as_micros() as u64;
        let before = state.keys.buckets.get(queue).copied();
        let (bucket, tokens) = Bucket::take(before, limit, now_us, want);
        state.remember(Write {
            before: Before::Bucket(queue.clone(), before),
            outcomes: None,
        });
        state.keys.buckets.insert(queue.clone(), bucket);
        self.note(|| format!("redis take {queue}: {tokens:?}"));
        Ok(tokens)
    }

    pub(super) fn ledger_mark(&self) -> Answer<Option<Zxid>> {
        let mut state = self.state();
        state.admit(Access::Script)?;
        Ok(state.keys.mark)
    }

    /// Writes the mark over the one that stands there, or only where none does; the one that stands there then.
    pub(super) fn mark(&self, ledger: Zxid, over: Over) -> Answer<Zxid> {
        let mut state = self.state();
        state.admit(Access::Grows)?;
        let before = state.keys.mark;
        if let (Some(mark), Over::Nothing) = (before, over) {
            return Ok(mark);
        }
        state.remember(Write {
            before: Before::Mark(before),
            outcomes: None,
        });
        state.keys.mark = Some(ledger);
        self.note(|| format!("redis is marked with {ledger}"));
        Ok(ledger)
    }

    /// All jobs in one page.
    pub(super) fn scan(&self) -> Answer<MetaPage> {
        let mut state = self.state();
        state.admit(Access::Reads)?;
        let ids = state.keys.ids();
        let entry = |id: JobId| {
            let meta = state.keys.look(&id)?.model.meta.clone()?;
            Some(MetaEntry {
                id,
                life: meta.life,
                stays: meta.state == MetaState::Open,
            })
        };
        Ok(MetaPage {
            jobs: ids.into_iter().filter_map(entry).collect(),
            next: None,
        })
    }

    pub(super) fn memory(&self) -> Answer<Memory> {
        let mut state = self.state();
        state.admit(Access::Reads)?;
        Ok(Memory {
            used: state.keys.bytes(),
            max: None,
        })
    }
}

/// What a mark may be written over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Nothing,
    Anything,
}

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}
