//! What can happen to a job: steps as a strategy draws them, and the calls that they become in a given state.

use std::ops::RangeInclusive;

use distjob_core::conclusion::{Conclusion, Ending};
use distjob_core::store::model::{Model, Part};
use distjob_core::store::{Isolated, ReadRequest};
use distjob_core::{Holder, Outcome, Packed, Source, TaskRange, Zxid};
use distjob_runtime::store::Freeing;
use proptest::prelude::*;

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
        wrong: i8,
        outcomes: Vec<(bool, Vec<u8>)>,
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
        ending: Option<Ending>,
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
    AllButOne,
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

fn shifted(number: u64, by: i8) -> u64 {
    number.saturating_add_signed(by.into())
}

impl Step {
    /// The call that this step is in the state that `model` is in; `None` when it is none, or has no place there.
    pub(crate) fn call(&self, model: &Model, past: &[Call]) -> Option<Call> {
        let length = |source: &Source| model.sources.get(source).map_or(0, |list| list.len() as u64);
        let count = model.meta.as_ref().map_or(0, |meta| meta.count);
        let who = |who: u8| holder(["a", "b", "c"][usize::from(who) % 3]);
        let leases = |holder: &Holder| model.leases.get(holder).cloned().unwrap_or_default();
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
                let mut held: Vec<TaskRange> = leases(&holder).iter().map(|lease| lease.range).collect();
                match knows {
                    Knows::All => held.extend(TaskRange::new(1 << 40, 1 << 41)),
                    Knows::AllButOne => drop(held.pop()),
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
                wrong,
                outcomes,
            } => {
                let holder = match model.leases.keys().nth(usize::from(w)) {
                    Some(leasing) if wrong == 0 => leasing.clone(),
                    _ => who(w),
                };
                let leases = leases(&holder);
                let lease = leases.get(lease % leases.len().max(1));
                let lo = shifted(lease.map_or(0, |lease| lease.range.lo()), wrong);
                let most = lease.map_or(usize::MAX, |lease| lease.range.len() as usize);
                // Once in a while one too many.
                let fitting = if wrong == 0 { most } else { most.saturating_add(1) };
                Call::Commit {
                    life: life(model, l),
                    holder,
                    lo,
                    outcomes: pack(&outcomes, fitting),
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
                ending,
            } => Call::Drop {
                life: life(model, l),
                source: source(s),
                ending,
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

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..8),
        1 => Just((0..=255).collect()),
        1 => prop::collection::vec(any::<u8>(), 300..400),
    ]
}

fn payloads(counts: RangeInclusive<usize>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(payload(), counts)
}

fn some_life() -> impl Strategy<Value = Life> {
    prop_oneof![40 => Just(Life::Known), 1 => Just(Life::Older), 1 => Just(Life::Newer)]
}

/// Mostly right.
fn wrong() -> impl Strategy<Value = i8> {
    prop_oneof![12 => Just(0i8), 1 => -2..=2i8]
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0u64), Just(1), 2..20u64, Just(500), Just(1 << 48)]
}

fn knows() -> impl Strategy<Value = Knows> {
    prop_oneof![8 => Just(Knows::All), 1 => Just(Knows::AllButOne), 1 => Just(Knows::None)]
}

fn claim() -> impl Strategy<Value = Step> {
    let want = prop_oneof![1 => Just(0u64), 8 => 1..5u64, 1 => Just(1 << 48)];
    let isolate = prop_oneof![1 => Just(0u32), 3 => Just(1), 1 => 2..4u32];
    let isolated = prop_oneof![2 => Just(Isolated::Leave), 1 => Just(Isolated::Take)];
    (0..3u8, some_life(), want, limit(), isolate, isolated, knows()).prop_map(
        |(who, life, want, bytes_max, isolate, isolated, knows)| Step::Claim {
            who,
            life,
            want,
            bytes_max,
            isolate,
            isolated,
            knows,
        },
    )
}

fn commit() -> impl Strategy<Value = Step> {
    let outcomes = prop::collection::vec((any::<bool>(), payload()), 0..6);
    (0..3u8, some_life(), 0..4usize, wrong(), outcomes).prop_map(|(who, life, lease, wrong, outcomes)| {
        Step::Commit {
            who,
            life,
            lease,
            wrong,
            outcomes,
        }
    })
}

fn free() -> impl Strategy<Value = Step> {
    let why = prop_oneof![1 => Just(Freeing::Leaving), 2 => Just(Freeing::Dead)];
    (0..3u8, some_life(), why).prop_map(|(who, life, why)| Step::Free { who, life, why })
}

fn fault() -> impl Strategy<Value = Step> {
    let part = prop_oneof![
        Just(Part::Meta),
        Just(Part::Tasks),
        Just(Part::Leases),
        Just(Part::Freed),
        Just(Part::Results)
    ];
    prop_oneof![
        4 => part.prop_map(Step::Lose),
        2 => (0..3u8).prop_map(|source| Step::ExpireSource { source }),
        1 => Just(Step::ExpireTombstone),
        1 => Just(Step::ForgetScripts),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => claim(),
        30 => commit(),
        8 => free(),
        6 => (0..2u8, wrong(), payloads(0..=4)).prop_map(|(token, wrong, tasks)| Step::Push { token, wrong, tasks }),
        2 => payloads(0..=3).prop_map(|tasks| Step::PushPlain { tasks }),
        5 => (some_life(), 0..3u8, wrong()).prop_map(|(life, source, wrong)| Step::Open { life, source, wrong }),
        10 => read(),
        4 => (some_life(), 0..3u8, wrong()).prop_map(|(life, source, wrong)| Step::Status { life, source, wrong }),
        2 => drops(),
        2 => (0..2u8, 0..4u64, limit()).prop_map(|(token, from, most)| Step::Staged { token, from, most }),
        10 => any::<usize>().prop_map(|which| Step::Again { which }),
        2 => fault(),
    ]
}

fn read() -> impl Strategy<Value = Step> {
    let start = prop_oneof![Just(0usize), 0..6usize];
    (some_life(), start, limit(), limit()).prop_map(|(life, start, tasks_max, bytes_max)| Step::Read {
        life,
        start,
        tasks_max,
        bytes_max,
    })
}

fn drops() -> impl Strategy<Value = Step> {
    let life = prop_oneof![Just(Life::Older), Just(Life::Known), Just(Life::Newer)];
    let ending = (0..9u64, 0..9u64, prop::sample::select(&Conclusion::ALL));
    let ending = ending.prop_map(|(count, failed, conclusion)| Ending {
        count,
        failed: failed.min(count),
        conclusion,
    });
    (life, 0..3u8, prop::option::of(ending)).prop_map(|(life, source, ending)| Step::Drop {
        life,
        source,
        ending,
    })
}

/// Steps that mostly begin with an open job, each with the number of the job that it is for.
pub(crate) fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let any_job = || prop_oneof![5 => Just(0u8), 1 => Just(1u8)];
    let begin = payloads(2..=9).prop_map(|tasks| {
        let push = Step::Push {
            token: 0,
            wrong: 0,
            tasks,
        };
        vec![
            (0, push),
            (
                0,
                Step::Open {
                    life: Life::Known,
                    source: 1,
                    wrong: 0,
                },
            ),
        ]
    });
    (begin, prop::collection::vec((any_job(), step()), 1..50)).prop_map(|(mut steps, more)| {
        steps.extend(more);
        steps
    })
}
