//! What can happen to a job: steps, and the calls that they become in a given state.

use distjob_core::store::model::{Model, Part};
use distjob_core::store::{Isolated, ReadRequest};
use distjob_core::{Holder, JobData, Lease, Outcome, Packed, Source, TaskRange, Zxid};
use distjob_runtime::store::Freeing;

use crate::calls::Call;
use crate::fixture::{holder, token};

/// A step, in terms of whatever state it finds.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Push {
        token: u8,
        wrong: i8,
        tasks: Vec<Vec<u8>>,
    },
    PushPlain {
        tasks: Vec<Vec<u8>>,
    },
    Open {
        life: Life,
        source: u8,
        wrong: i8,
    },
    Claim {
        who: u8,
        life: Life,
        want: u64,
        bytes_max: u64,
        isolate: u32,
        isolated: Isolated,
        knows: Knows,
    },
    Commit {
        who: u8,
        life: Life,
        lease: usize,
        /// How far into the lease.
        into: u64,
        wrong: i8,
        outcomes: Vec<(bool, Vec<u8>)>,
    },
    Release {
        who: u8,
        life: Life,
        lease: usize,
        into: u64,
        wrong: i8,
        count: u64,
    },
    Free {
        who: u8,
        life: Life,
        why: Freeing,
    },
    Read {
        life: Life,
        start: usize,
        tasks_max: u64,
        bytes_max: u64,
    },
    Status {
        life: Life,
        source: u8,
        wrong: i8,
    },
    Drop {
        life: Life,
        source: u8,
        last: Option<JobData>,
    },
    Staged {
        token: u8,
        from: u64,
        most: u64,
    },
    /// A call from the past arrives once more.
    Again {
        which: usize,
    },
    Lose(Part),
    ExpireSource {
        source: u8,
    },
    ExpireTombstone,
    ForgetScripts,
}

/// A life of the job's id, seen from the one that the store knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Life {
    Older,
    Known,
    Newer,
}

/// Of which of its leases a holder knows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Knows {
    All,
    /// All, as one range.
    Around,
    AllButOne,
    /// Every task of them, but no lease of more than one as a whole.
    Pieces,
    None,
}

/// A plain list and two submission attempts.
pub(crate) fn sources() -> [Source; 3] {
    [Source::Plain, token("a"), token("b")]
}

pub(crate) fn source(which: u8) -> Source {
    sources()[usize::from(which) % 3].clone()
}

fn life(model: &Model, life: Life) -> Zxid {
    let known = model.meta.as_ref().map_or(1 << 60, |meta| meta.life.number());
    Zxid::new(match life {
        Life::Older => known - 1,
        Life::Known => known,
        Life::Newer => known + 1,
    })
}

fn who(who: u8) -> Holder {
    holder(["a", "b", "c"][usize::from(who) % 3])
}

fn leases(model: &Model, holder: &Holder) -> Vec<Lease> {
    model.leases.get(holder).cloned().unwrap_or_default()
}

/// A place in a lease: whose it is, the index, and how many tasks there are from there on; once in a while a wrong place,
/// or one task too many.
fn run(model: &Model, whose: u8, lease: usize, into: u64, wrong: i8) -> (Holder, u64, u64) {
    let holder = match model.leases.keys().nth(usize::from(whose)) {
        Some(leasing) if wrong == 0 => leasing.clone(),
        _ => who(whose),
    };
    let leases = leases(model, &holder);
    let Some(lease) = leases.get(lease % leases.len().max(1)) else {
        return (holder, shifted(into, wrong), 9);
    };
    let into = into % lease.range.len();
    let most = lease.range.len() - into + u64::from(wrong != 0);
    (holder, shifted(lease.range.lo() + into, wrong), most)
}

/// Two ranges that hold the tasks of one.
fn pieces(range: TaskRange) -> impl Iterator<Item = TaskRange> {
    let middle = range.lo() + range.len() / 2;
    range.before(middle).into_iter().chain(range.after(middle))
}

fn shifted(number: u64, by: i8) -> u64 {
    number.saturating_add_signed(by.into())
}

impl Step {
    /// The call that this step is in the state that `model` is in; `None` when it is none, or has no place there.
    pub(crate) fn call(&self, model: &Model, past: &[Call]) -> Option<Call> {
        let length = |source: &Source| model.sources.get(source).map_or(0, |list| list.len() as u64);
        let count = model.meta.as_ref().map_or(0, |meta| meta.count);
        Some(match self.clone() {
            Self::Push { token, wrong, tasks } => {
                let source = source(1 + token % 2);
                Call::Push {
                    offset: shifted(length(&source), wrong),
                    source,
                    tasks,
                }
            }
            Self::Open {
                life: l,
                source: s,
                wrong,
            } => {
                let source = source(s);
                let count = shifted(length(&source), wrong).max(1);
                Call::Open {
                    life: life(model, l),
                    count,
                    source,
                }
            }
            Self::Claim {
                who: w,
                life: l,
                want,
                bytes_max,
                isolate,
                isolated,
                knows,
            } => {
                let holder = who(w);
                let mut held: Vec<TaskRange> =
                    leases(model, &holder).iter().map(|lease| lease.range).collect();
                match knows {
                    Knows::All => held.extend(TaskRange::new(1 << 40, 1 << 41)),
                    Knows::Around => held = Vec::from_iter(TaskRange::new(0, 1 << 40)),
                    Knows::AllButOne => drop(held.pop()),
                    Knows::Pieces => held = held.into_iter().flat_map(pieces).collect(),
                    Knows::None => held.clear(),
                }
                Call::Claim {
                    life: life(model, l),
                    holder,
                    want,
                    bytes_max,
                    isolate,
                    isolated,
                    held,
                }
            }
            Self::Commit {
                who: w,
                life: l,
                lease,
                into,
                wrong,
                outcomes,
            } => {
                let (holder, lo, most) = run(model, w, lease, into, wrong);
                Call::Commit {
                    life: life(model, l),
                    holder,
                    lo,
                    outcomes: pack(&outcomes, most as usize),
                }
            }
            Self::Release {
                who: w,
                life: l,
                lease,
                into,
                wrong,
                count,
            } => {
                let (holder, lo, most) = run(model, w, lease, into, wrong);
                Call::Release {
                    life: life(model, l),
                    holder,
                    range: TaskRange::new(lo, lo + count.min(most))?,
                }
            }
            Self::Free { who: w, life: l, why } => Call::Free {
                life: life(model, l),
                holder: who(w),
                why,
            },
            Self::Read {
                life: l,
                start,
                tasks_max,
                bytes_max,
            } => Call::Read(ReadRequest {
                life: life(model, l),
                from: model.results.keys().nth(start).copied().unwrap_or(start as u64),
                tasks_max,
                bytes_max,
            }),
            Self::Status {
                life: l,
                source: s,
                wrong,
            } => Call::Status {
                life: life(model, l),
                count: shifted(count, wrong),
                source: source(s),
            },
            Self::Drop {
                life: l,
                source: s,
                last,
            } => Call::Drop {
                life: life(model, l),
                source: source(s),
                last,
            },
            Self::Staged { token, from, most } => Call::Staged {
                source: source(1 + token % 2),
                from,
                most,
            },
            Self::Again { which } => past.get(which % past.len().max(1))?.clone(),
            Self::PushPlain { .. }
            | Self::Lose(_)
            | Self::ExpireSource { .. }
            | Self::ExpireTombstone
            | Self::ForgetScripts => return None,
        })
    }
}

fn pack(outcomes: &[(bool, Vec<u8>)], most: usize) -> Packed {
    let mut packed = Packed::default();
    for (ok, bytes) in outcomes.iter().take(most) {
        packed.push(if *ok {
            Outcome::Ok(bytes)
        } else {
            Outcome::Err(bytes)
        });
    }
    packed
}
