//! Calls with all their arguments, on the model and on the store, and what either answers.

use distjob_core::store::model::Model;
use distjob_core::store::{
    Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, Isolated, Open, Push, PushRequest,
    Read, ReadRequest, ReleaseRequest, Standing, Status,
};
use distjob_core::{Holder, JobData, JobId, Packed, Source, TaskRange, Zxid};
use distjob_runtime::store::{Freeing, JobStore};

/// A call with all its arguments, which can be made again later.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Push {
        source: Source,
        offset: u64,
        tasks: Vec<Vec<u8>>,
    },
    Open {
        life: Zxid,
        count: u64,
        source: Source,
    },
    Claim {
        life: Zxid,
        holder: Holder,
        want: u64,
        bytes_max: u64,
        isolate: u32,
        isolated: Isolated,
        held: Vec<TaskRange>,
    },
    Commit {
        life: Zxid,
        holder: Holder,
        lo: u64,
        outcomes: Packed,
    },
    Release {
        life: Zxid,
        holder: Holder,
        range: TaskRange,
    },
    Free {
        life: Zxid,
        holder: Holder,
        why: Freeing,
    },
    Read(ReadRequest),
    Status {
        life: Zxid,
        count: u64,
        source: Source,
    },
    Drop {
        life: Zxid,
        source: Source,
        last: Option<JobData>,
    },
    Staged {
        source: Source,
        from: u64,
        most: u64,
    },
    Inspect {
        source: Source,
    },
}

/// What either side answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Push(Push),
    Open(Open),
    Claim(Claim),
    Commit(Commit),
    Release(Commit),
    Freed(u64),
    Read(Read),
    Status(Status),
    Drop(DropReply),
    Inspection(Box<Inspection>),
    Staged(Vec<Vec<u8>>),
}

impl Reply {
    /// Every kind of answer that there is, as [`Reply::kind`] names it.
    pub(crate) const KINDS: [&str; 36] = [
        "push ok",
        "push gap",
        "push opened",
        "open",
        "open gone",
        "open stale",
        "open missing",
        "claim absent",
        "claim gone",
        "claim stale",
        "claim broken",
        "claim complete",
        "claim audited",
        "claim isolated",
        "claim none",
        "claim lease",
        "commit ok",
        "commit refused",
        "commit elsewhere",
        "release ok",
        "release refused",
        "release elsewhere",
        "free none",
        "free some",
        "read gone",
        "read short",
        "read hole",
        "read slice",
        "status open",
        "status gone",
        "status stale",
        "status none",
        "drop",
        "drop stale",
        "staged none",
        "staged some",
    ];

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Push(Push::Ok(_)) => "push ok",
            Self::Push(Push::Gap(_)) => "push gap",
            Self::Push(Push::Opened) => "push opened",
            Self::Open(Open::Open) => "open",
            Self::Open(Open::Gone) => "open gone",
            Self::Open(Open::Stale) => "open stale",
            Self::Open(Open::Missing(_)) => "open missing",
            Self::Claim(Claim::Absent) => "claim absent",
            Self::Claim(Claim::Gone) => "claim gone",
            Self::Claim(Claim::Stale) => "claim stale",
            Self::Claim(Claim::Broken) => "claim broken",
            Self::Claim(Claim::Complete) => "claim complete",
            Self::Claim(Claim::Audited) => "claim audited",
            Self::Claim(Claim::Isolated) => "claim isolated",
            Self::Claim(Claim::None { .. }) => "claim none",
            Self::Claim(Claim::Lease(_)) => "claim lease",
            Self::Commit(commit) if commit.standing != Standing::Open => "commit elsewhere",
            Self::Commit(commit) if commit.accepted => "commit ok",
            Self::Commit(_) => "commit refused",
            Self::Release(release) if release.standing != Standing::Open => "release elsewhere",
            Self::Release(release) if release.accepted => "release ok",
            Self::Release(_) => "release refused",
            Self::Freed(0) => "free none",
            Self::Freed(_) => "free some",
            Self::Read(Read::Gone) => "read gone",
            Self::Read(Read::Short) => "read short",
            Self::Read(Read::Hole(_)) => "read hole",
            Self::Read(Read::Slice(_)) => "read slice",
            Self::Status(Status::Open { .. }) => "status open",
            Self::Status(Status::Gone) => "status gone",
            Self::Status(Status::Stale) => "status stale",
            Self::Status(Status::None(_)) => "status none",
            Self::Drop(DropReply::Dropped) => "drop",
            Self::Drop(DropReply::Stale) => "drop stale",
            Self::Inspection(_) => "inspection",
            Self::Staged(tasks) if tasks.is_empty() => "staged none",
            Self::Staged(_) => "staged some",
        }
    }
}

/// How long lists and tombstones live here: for ever, as far as a test is concerned.
const TTL_S: u64 = 3600;

impl Call {
    pub(crate) fn on_model(&self, model: &mut Model) -> Reply {
        match self {
            Self::Push {
                source: Source::Plain,
                ..
            } => unreachable!("plain lists are not pushed through the store"),
            Self::Push {
                source: Source::Staged(source),
                offset,
                tasks,
            } => Reply::Push(model.push(&PushRequest {
                source,
                offset: *offset,
                ttl_s: TTL_S,
                tasks,
            })),
            Self::Open { life, count, source } => Reply::Open(model.open(*life, *count, source)),
            Self::Claim { .. } => Reply::Claim(model.claim(&self.claim())),
            Self::Commit {
                life,
                holder,
                lo,
                outcomes,
            } => Reply::Commit(model.commit(&CommitRequest {
                life: *life,
                holder,
                lo: *lo,
                outcomes,
            })),
            Self::Release { life, holder, range } => Reply::Release(model.release(&ReleaseRequest {
                life: *life,
                holder,
                range: *range,
            })),
            Self::Free { life, holder, why } => Reply::Freed(model.free(*life, holder, why.deaths())),
            Self::Read(request) => Reply::Read(model.read(*request)),
            Self::Status { life, count, source } => Reply::Status(model.status(*life, *count, source)),
            Self::Drop { life, source, last } => Reply::Drop(model.drop_job(*life, source, last.as_ref())),
            Self::Staged { source, from, most } => Reply::Staged(model.staged(source, *from, *most)),
            Self::Inspect { source } => Reply::Inspection(Box::new(model.inspect(source))),
        }
    }

    pub(crate) async fn on_store(&self, store: &JobStore, id: &JobId) -> Reply {
        match self {
            Self::Push {
                source: Source::Plain,
                ..
            } => unreachable!("plain lists are not pushed through the store"),
            Self::Push {
                source: Source::Staged(source),
                offset,
                tasks,
            } => {
                let request = PushRequest {
                    source,
                    offset: *offset,
                    ttl_s: TTL_S,
                    tasks,
                };
                Reply::Push(store.push(id, &request).await.unwrap())
            }
            Self::Open { life, count, source } => {
                Reply::Open(store.open(id, *life, *count, source).await.unwrap())
            }
            Self::Claim { .. } => Reply::Claim(store.claim(id, &self.claim()).await.unwrap()),
            Self::Commit {
                life,
                holder,
                lo,
                outcomes,
            } => {
                let request = CommitRequest {
                    life: *life,
                    holder,
                    lo: *lo,
                    outcomes,
                };
                Reply::Commit(store.commit(id, &request).await.unwrap())
            }
            Self::Release { life, holder, range } => {
                let request = ReleaseRequest {
                    life: *life,
                    holder,
                    range: *range,
                };
                Reply::Release(store.release(id, &request).await.unwrap())
            }
            Self::Free { life, holder, why } => {
                Reply::Freed(store.free(id, *life, holder, *why).await.unwrap())
            }
            Self::Read(request) => Reply::Read(store.read(id, *request).await.unwrap()),
            Self::Status { life, count, source } => {
                Reply::Status(store.status(id, *life, *count, source).await.unwrap())
            }
            Self::Drop { life, source, last } => {
                let drop = store.drop_job(id, *life, source, TTL_S, last.as_ref()).await;
                Reply::Drop(drop.unwrap())
            }
            Self::Staged {
                source: Source::Plain,
                ..
            } => unreachable!("plain lists are not read through the store"),
            Self::Staged {
                source: Source::Staged(token),
                from,
                most,
            } => Reply::Staged(store.staged(id, token, *from, *most).await.unwrap()),
            Self::Inspect { source } => {
                let mut inspection = store.inspect(id, source).await.unwrap();
                // The model has no clock.
                inspection.meta_ttl_s = None;
                Reply::Inspection(Box::new(inspection))
            }
        }
    }

    fn claim(&self) -> ClaimRequest<'_> {
        let Self::Claim {
            life,
            holder,
            want,
            bytes_max,
            isolate,
            isolated,
            held,
        } = self
        else {
            unreachable!("only called for claims");
        };
        ClaimRequest {
            life: *life,
            holder,
            want: *want,
            bytes_max: *bytes_max,
            isolate: *isolate,
            isolated: *isolated,
            held,
        }
    }

    /// Whether a script refuses it whatever the state.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Commit { outcomes, .. } if outcomes.is_empty())
    }
}
