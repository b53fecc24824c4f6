//! How steps are drawn.

use std::ops::RangeInclusive;

use distjob_core::store::Isolated;
use distjob_core::store::model::Part;
use distjob_core::{Conclusion, JobData, QueueName, Source};
use distjob_runtime::store::Freeing;
use proptest::prelude::*;

use crate::steps::{Knows, Life, Step};

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
    prop_oneof![
        8 => Just(Knows::All),
        3 => Just(Knows::Around),
        1 => Just(Knows::AllButOne),
        1 => Just(Knows::Pieces),
        1 => Just(Knows::None)
    ]
}

fn claim() -> impl Strategy<Value = Step> {
    let want = prop_oneof![1 => Just(0u64), 8 => 1..7u64, 1 => Just(1 << 48)];
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
    (0..3u8, some_life(), 0..4usize, into(), wrong(), outcomes).prop_map(
        |(who, life, lease, into, wrong, outcomes)| Step::Commit {
            who,
            life,
            lease,
            into,
            wrong,
            outcomes,
        },
    )
}

fn release() -> impl Strategy<Value = Step> {
    (0..3u8, some_life(), 0..4usize, into(), wrong(), 1..6u64).prop_map(
        |(who, life, lease, into, wrong, count)| Step::Release {
            who,
            life,
            lease,
            into,
            wrong,
            count,
        },
    )
}

/// Half of the time from the front.
fn into() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0u64), 0..6u64]
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
        10 => release(),
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
    let last = (0..9u64, 0..9u64, prop::sample::select(&Conclusion::ALL));
    let last = last.prop_map(|(count, failed, conclusion)| {
        JobData::submitted(count, QueueName::default_queue(), Source::Plain).uploaded(
            failed.min(count),
            conclusion,
            None,
        )
    });
    (life, 0..3u8, prop::option::of(last)).prop_map(|(life, source, last)| Step::Drop { life, source, last })
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
