//! How a plan is drawn.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::cluster::Mood;

use super::{Cast, From, Half, Kind, Nemesis, POINTS, Plan, Scene, Step, Thing, Victim, Way};

/// Between the end of one fault and the beginning of the next: long enough to see jobs finish.
const QUIET_MS: Range<u64> = 2_500..6_500;
/// How many faults, of how many, come with a second one.
const PAIRS: (u32, u32) = (2, 5);
/// The kinds whose recovery is measured: they come twice as often as others, and mostly alone, for what happens beside them
/// may hold up who takes over.
const MEASURED: [Kind; 2] = [Kind::KillExecutor, Kind::KillWatcher];
/// As [`PAIRS`], for these.
const MEASURED_PAIRS: (u32, u32) = (1, 5);
/// How long the second fault of a pair waits for the first one.
const LAG_MS: Range<u64> = 0..1_500;

pub(super) fn draw(seed: u64, length: Duration, kinds: &[Kind], cast: &Cast) -> Plan {
    let mut deck = Deck::new(seed, kinds, cast);
    let mut plan = Plan { scenes: Vec::new() };
    let mut number = 0;
    while let Some(kind) = deck.next() {
        let quiet = Duration::from_millis(deck.rng.random_range(QUIET_MS));
        let mut pair = vec![(Duration::ZERO, kind)];
        let (paired, of) = if MEASURED.contains(&kind) {
            MEASURED_PAIRS
        } else {
            PAIRS
        };
        if deck.rng.random_ratio(paired, of) {
            let lag = Duration::from_millis(deck.rng.random_range(LAG_MS));
            pair.extend(deck.next_beside(kind).map(|second| (lag, second)));
        } else if !MEASURED.contains(&kind) && deck.rng.random_ratio(1, 2) {
            pair.extend(deck.next_of_outlets(kind).map(|second| (Duration::ZERO, second)));
        }
        let mut steps = Vec::new();
        for (lag, kind) in pair {
            number += 1;
            let (nemesis, lasts) = decide(kind, &mut deck.rng, cast);
            steps.push(Step {
                number,
                lag,
                lasts,
                nemesis,
            });
        }
        plan.scenes.push(Scene { quiet, steps });
        if plan.lasts() > length {
            plan.scenes.pop();
            break;
        }
    }
    plan
}

/// The kinds in the order in which they come, shuffled anew when all have come.
struct Deck {
    rng: StdRng,
    kinds: Vec<Kind>,
    left: VecDeque<Kind>,
}

impl Deck {
    fn new(seed: u64, kinds: &[Kind], cast: &Cast) -> Self {
        let asked = |kind: &&Kind| kinds.is_empty() || kinds.contains(kind);
        let possible = |kind: &&Kind| cast.has_replica || **kind != Kind::PromoteReplica;
        let once = Kind::ALL.iter().filter(asked).filter(possible).copied();
        let again = once.clone().filter(|kind| MEASURED.contains(kind));
        let kinds = once.chain(again).collect();
        let mut deck = Self {
            rng: StdRng::seed_from_u64(seed),
            kinds,
            left: VecDeque::new(),
        };
        deck.shuffle();
        // A short run should have as many kinds as it can.
        let mut met = HashSet::new();
        deck.left.retain(|kind| met.insert(*kind));
        // The sort is stable: what is of the same value stays shuffled.
        deck.left
            .make_contiguous()
            .sort_by_key(|kind| !kind.is_essential());
        deck
    }

    fn shuffle(&mut self) {
        let mut kinds = self.kinds.clone();
        kinds.shuffle(&mut self.rng);
        self.left.extend(kinds);
    }

    fn next(&mut self) -> Option<Kind> {
        if self.left.is_empty() {
            self.shuffle();
        }
        self.left.pop_front()
    }

    /// One that vexes outlets, beside another one: they are short, and so even a short run has them.
    fn next_of_outlets(&mut self, first: Kind) -> Option<Kind> {
        let vexes = |kind: &Kind| kind.seizes() == Thing::Outlets && first.seizes() != Thing::Outlets;
        let place = self.left.iter().position(vexes)?;
        self.left.remove(place)
    }

    /// The next one that can happen at the same time as `first`.
    fn next_beside(&mut self, first: Kind) -> Option<Kind> {
        let place = self
            .left
            .iter()
            .position(|kind| agree(first, *kind) && !MEASURED.contains(kind))?;
        self.left.remove(place)
    }
}

/// Whether two faults can happen at the same time: each takes hold of something else, and both can be told from one
/// another by what they do.
fn agree(first: Kind, second: Kind) -> bool {
    // No other fault of a daemon would find its victim.
    let moves_all = |kind| matches!(kind, Kind::Churn | Kind::FreezeExecutors);
    let needs_daemon = |kind: Kind| {
        use super::Thing::{Executors, Watchers};
        matches!(kind.seizes(), Executors | Watchers)
            || matches!(kind, Kind::ExpireSession | Kind::CutConnections)
    };
    first.seizes() != second.seizes()
        && !(moves_all(first) && needs_daemon(second))
        && !(moves_all(second) && needs_daemon(first))
}

fn decide(kind: Kind, rng: &mut StdRng, cast: &Cast) -> (Nemesis, Duration) {
    let nemesis = match kind {
        Kind::KillExecutor => Nemesis::Kill(executor(rng, cast)),
        Kind::KillWatcher => Nemesis::Kill(watcher(rng, cast)),
        Kind::KillSubmitter => Nemesis::Kill(submitter(rng, cast)),
        Kind::StopExecutor => Nemesis::Stop(executor(rng, cast)),
        Kind::StopWatcher => Nemesis::Stop(watcher(rng, cast)),
        Kind::FreezeExecutor => Nemesis::Freeze(executor(rng, cast), half(rng)),
        Kind::FreezeWatcher => Nemesis::Freeze(watcher(rng, cast), half(rng)),
        Kind::FreezeExecutors => Nemesis::FreezeExecutors,
        Kind::AmbushWatcher => Nemesis::Ambush {
            watcher: rng.random_range(1..=cast.watchers),
            point: POINTS[rng.random_range(0..POINTS.len())],
            freeze: rng.random_bool(0.5).then(|| half(rng)),
        },
        Kind::FreezeSubmitter => Nemesis::Freeze(submitter(rng, cast), half(rng)),
        Kind::PartitionZooKeeper => Nemesis::CutOff {
            victim: anyone(rng, cast),
            from: if rng.random_ratio(1, 3) {
                From::Server(server(rng, cast))
            } else {
                From::Servers
            },
            way: way(rng),
        },
        Kind::PartitionRedis => Nemesis::CutOff {
            victim: anyone(rng, cast),
            from: From::Redis,
            way: way(rng),
        },
        Kind::PartitionServers => Nemesis::SplitServers {
            server: server(rng, cast),
            way: way(rng),
        },
        Kind::SlowLinks => Nemesis::SlowLinks {
            delay_ms: rng.random_range(5..60),
            jitter_ms: rng.random_range(0..60),
        },
        Kind::LossyLinks => Nemesis::LossyLinks {
            per_mille: rng.random_range(5..60),
        },
        Kind::CutConnections => Nemesis::CutConnections(rng.random_bool(0.7).then(|| anyone(rng, cast))),
        Kind::KillLeader => Nemesis::KillLeader,
        Kind::LoseQuorum => Nemesis::LoseQuorum,
        Kind::RollingRestart => Nemesis::RollingRestart,
        Kind::ExpireSession => Nemesis::Expire(daemon(rng, cast)),
        Kind::KillRedis => Nemesis::KillRedis,
        Kind::CutTail => Nemesis::CutTail {
            bytes: 1 << rng.random_range(6..20),
        },
        Kind::PromoteReplica => Nemesis::PromoteReplica,
        Kind::PauseRedis => Nemesis::PauseRedis,
        Kind::FlushScripts => Nemesis::FlushScripts,
        Kind::LimitMemory => Nemesis::LimitMemory,
        Kind::FillDisk => Nemesis::FillDisk,
        Kind::RefuseResults => Nemesis::Vex(Mood::Refusing),
        Kind::CutResults => Nemesis::Vex(Mood::Cutting),
        Kind::StallResults => Nemesis::Vex(Mood::Stalling),
        Kind::MoveClock => {
            let by_s = *[-86_400, -3_600, -30, 30, 3_600, 86_400]
                .get(rng.random_range(0..6))
                .unwrap_or(&3_600);
            Nemesis::MoveClock(daemon(rng, cast), by_s)
        }
        Kind::Churn => Nemesis::Churn,
        Kind::AbortHandler => Nemesis::Abort,
        Kind::HangHandler => Nemesis::Hang,
        Kind::BloatHandler => Nemesis::Bloat,
    };
    (nemesis, lasts(&nemesis, rng, cast))
}

/// How long it lasts.
fn lasts(nemesis: &Nemesis, rng: &mut StdRng, cast: &Cast) -> Duration {
    let timeout_ms = u64::try_from(cast.session_timeout.as_millis()).unwrap_or(u64::MAX);
    let ms = match nemesis {
        Nemesis::Freeze(_, Half(halves))
        | Nemesis::Ambush {
            freeze: Some(Half(halves)),
            ..
        } => timeout_ms * u64::from(*halves) / 2,
        // Below and beyond what ends a session.
        Nemesis::CutOff { .. } | Nemesis::SplitServers { .. } => {
            rng.random_range(timeout_ms / 2..timeout_ms * 5 / 2)
        }
        Nemesis::Kill(Victim::Submitter(_)) => rng.random_range(2_000..5_000),
        // Not before the session of the dead one is over: it is the others that must go on.
        Nemesis::Kill(_) | Nemesis::Ambush { .. } => timeout_ms + rng.random_range(1_500..3_000),
        // Longer than what is staged lives by itself.
        Nemesis::FreezeExecutors => 20_000,
        Nemesis::LoseQuorum => 10_000,
        Nemesis::Churn => 10_000,
        // Five executors die of it, one after the other's session is over.
        Nemesis::Abort | Nemesis::Hang | Nemesis::Bloat => 5 * timeout_ms + 2_000,
        Nemesis::Stop(_) | Nemesis::FlushScripts | Nemesis::PauseRedis | Nemesis::LimitMemory => {
            rng.random_range(1_000..5_000)
        }
        Nemesis::CutConnections(_) | Nemesis::Expire(_) => rng.random_range(500..2_000),
        Nemesis::KillRedis | Nemesis::CutTail { .. } => rng.random_range(0..3_000),
        _ => rng.random_range(2_000..6_000),
    };
    Duration::from_millis(ms)
}

fn executor(rng: &mut StdRng, cast: &Cast) -> Victim {
    Victim::Executor(rng.random_range(1..=cast.executors))
}

fn watcher(rng: &mut StdRng, cast: &Cast) -> Victim {
    Victim::Watcher(rng.random_range(1..=cast.watchers))
}

fn submitter(rng: &mut StdRng, cast: &Cast) -> Victim {
    Victim::Submitter(rng.random_range(1..=cast.submitters))
}

fn server(rng: &mut StdRng, cast: &Cast) -> u32 {
    rng.random_range(1..=cast.servers)
}

fn daemon(rng: &mut StdRng, cast: &Cast) -> Victim {
    if rng.random_ratio(cast.executors, cast.executors + cast.watchers) {
        executor(rng, cast)
    } else {
        watcher(rng, cast)
    }
}

fn anyone(rng: &mut StdRng, cast: &Cast) -> Victim {
    if rng.random_ratio(1, 5) {
        submitter(rng, cast)
    } else {
        daemon(rng, cast)
    }
}

fn half(rng: &mut StdRng) -> Half {
    Half([1, 2, 6][rng.random_range(0..3)])
}

fn way(rng: &mut StdRng) -> Way {
    [Way::Both, Way::Out, Way::In][rng.random_range(0..3)]
}
