//! Whatever the order of things: each task has one outcome in the end, and what has none was given back.

use std::{collections::BTreeMap, time::Duration};

use distjob_core::retry::Policy;
use proptest::prelude::*;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    super::{Order, RunLimits, Work},
    ms,
    world::{Fate, LIMITS, Script, Step, World},
};
use crate::{grip::Grip, handler::CommitLimits};

#[derive(Clone, Debug)]
struct Plan {
    scripts: Vec<Script>,
    fates: Vec<Fate>,
    at_once: usize,
    attempts: u32,
    commit_ms: u64,
    commit_bytes: usize,
    target_ms: u64,
    want: u64,
    /// After so long each of the first leases is halted.
    halts_ms: Vec<u64>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let step = prop_oneof![
        4 => Just(Step::Succeeds),
        2 => Just(Step::Fails),
        1 => Just(Step::FailsForGood),
        1 => Just(Step::Suffers),
    ];
    // It must come to an end, so it does not suffer for ever.
    let last = prop_oneof![Just(Step::Succeeds), Just(Step::Fails), Just(Step::FailsForGood)];
    let script = (prop::collection::vec((0u64..120, step), 0..3), 0u64..120, last).prop_map(
        |(mut steps, ms, last)| {
            steps.push((ms, last));
            Script(steps)
        },
    );
    let fate = prop_oneof![
        4 => Just(Fate::Answered),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Unanswered),
        1 => Just(Fate::Repeated),
    ];
    (
        prop::collection::vec(script, 1..14),
        prop::collection::vec(fate, 0..30),
        1usize..5,
        1u32..4,
        (1u64..200, 1usize..200, 1u64..400, 1u64..14),
        prop::collection::vec(0u64..400, 0..3),
    )
        .prop_map(|(scripts, fates, at_once, attempts, sizes, halts_ms)| Plan {
            scripts,
            fates,
            at_once,
            attempts,
            commit_ms: sizes.0,
            commit_bytes: sizes.1,
            target_ms: sizes.2,
            want: sizes.3,
            halts_ms,
        })
}

impl Plan {
    fn limits(&self) -> RunLimits {
        RunLimits {
            commit: CommitLimits {
                bytes: self.commit_bytes,
                time: ms(self.commit_ms),
            },
            policy: Policy {
                attempts: self.attempts,
                initial: ms(50),
                max: ms(200),
            },
            target: ms(self.target_ms),
            ..LIMITS
        }
    }

    /// Runs the job to its end.
    async fn run(&self) -> World {
        let (world, grip) = (World::new(&self.scripts), Grip::default());
        world.state().fates = self.fates.clone().into();
        let mut halts = self.halts_ms.iter().copied().map(ms);
        let mut later: BTreeMap<Instant, Vec<Work>> = BTreeMap::new();
        for _ in 0..1000 {
            let waits = world.state().executions.len() % 2 == 0 || !self.has_more(&world);
            let granted = if waits && !later.is_empty() {
                None
            } else {
                world.claim(&grip, self.want)
            };
            let work = match granted {
                Some(work) => work,
                None => match first_due(&mut later).await {
                    Some(work) => work,
                    None => break,
                },
            };
            let (orders, obeys) = watch::channel(Order::Go);
            let halt_after = halts.next().unwrap_or(Duration::MAX / 4);
            let halt = async {
                sleep(halt_after).await;
                orders.send_replace(Order::Halt);
                std::future::pending::<()>().await;
            };
            let running = world.runner(self.at_once).run(work, self.limits(), obeys, None);
            let ended = tokio::select! {
                biased;
                ended = running => ended,
                () = halt => unreachable!("it never ends"),
            };
            for waiting in ended.later {
                later.entry(waiting.due).or_default().push(waiting.work);
            }
        }
        assert_eq!(grip.len(), 0);
        world
    }

    fn has_more(&self, world: &World) -> bool {
        let state = world.state();
        let meta = state.model.meta.as_ref().unwrap();
        meta.cursor < meta.count || !state.model.freed.is_empty()
    }

    /// What must have become of a task that began so many times.
    fn check(&self, world: &World) {
        let outcomes = world.outcomes();
        let state = world.state();
        assert_eq!(outcomes.len(), self.scripts.len(), "{:?}", state.model);
        assert!(state.model.leases.is_empty() && state.model.freed.is_empty());
        // A release that comes once more finds the tasks leased again, and they are run again.
        if self.fates.iter().any(|fate| matches!(fate, Fate::Repeated)) {
            return;
        }
        for (index, (outcome, account)) in outcomes {
            let script = &self.scripts[usize::try_from(index).unwrap()].0;
            let attempts = &state.executions[&index];
            let steps: Vec<Step> = (0..attempts.len())
                .map(|nth| script[nth.min(script.len() - 1)].1)
                .collect();
            let last = *steps.last().unwrap();
            let counted = u32::try_from(steps.iter().filter(|step| **step == Step::Fails).count()).unwrap();
            match last {
                Step::Succeeds => assert_eq!(outcome, Ok(index.to_string().into_bytes())),
                Step::FailsForGood => assert_eq!(outcome, Err(b"for good".to_vec())),
                Step::Fails => assert_eq!(
                    (outcome, counted),
                    (Err(format!("failed {counted}").into_bytes()), self.attempts)
                ),
                Step::Suffers | Step::FindsNothing => panic!("{index} ended with {last:?}"),
            }
            let taken = account.unwrap().attempts;
            assert_eq!(taken, counted + u32::from(last != Step::Fails));
            assert_eq!(*attempts.last().unwrap(), taken);
            assert!(attempts.is_sorted() && attempts[0] == 1);
        }
    }
}

/// The first of those that wait, when it is due.
async fn first_due(later: &mut BTreeMap<Instant, Vec<Work>>) -> Option<Work> {
    let mut first = later.first_entry()?;
    sleep_until(*first.key()).await;
    let work = first.get_mut().pop();
    if first.get().is_empty() {
        first.remove();
    }
    work
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn each_task_has_exactly_the_outcome_of_its_last_attempt(plan in plans()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let world = runtime.block_on(plan.run());
        plan.check(&world);
    }
}
