//! What is on the way, and what stands in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::{RngExt as _, rngs::StdRng};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Delays, Link, Node, Process, Server, millis};
use crate::{clockwork::Timed, trace::Trace};

/// What TCP waits before it sends again.
const RESEND_MS: u64 = 200;

/// What is left of a connection may arrive so much later than the end of it: seldom, and even more seldom very late.
const LATE_MS_MAX: [u64; 4] = [1000, 3000, 3000, 20_000];

/// Runs at the arrival of a message.
pub(super) type Action = Box<dyn FnOnce() + Send>;

pub(super) type WireId = u64;

/// Which of the two ways of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    /// To the server.
    Up,
    /// To the process.
    Down,
}

type LaneId = (WireId, Direction);

struct Message {
    at: Instant,
    /// Sent by a process that was paused: it is not on its way before that is over.
    is_frozen: bool,
    action: Action,
}

#[derive(Default)]
struct Lane {
    messages: VecDeque<Message>,
    /// Whether a delivery is planned.
    planned: Option<(Instant, u64)>,
    /// Nothing more is taken.
    is_closed: bool,
}

struct WireState {
    process: Process,
    server: Server,
    /// The process knows that the wire is cut.
    cut: CancellationToken,
}

pub(super) struct State {
    rng: StdRng,
    pub(super) delays: Delays,
    trace: Trace,
    wires: BTreeMap<WireId, WireState>,
    lanes: BTreeMap<LaneId, Lane>,
    plan: BTreeMap<(Instant, u64), LaneId>,
    links: BTreeMap<(Node, Server), Link>,
    down: BTreeSet<Server>,
    paused_servers: BTreeSet<Server>,
    dead: BTreeSet<Process>,
    paused: BTreeSet<Process>,
    next_wire: WireId,
    next_plan: u64,
    pub(super) delivered: u64,
    /// Who waits for so many deliveries.
    alarms: BTreeMap<u64, Vec<oneshot::Sender<()>>>,
}

impl Timed for State {
    fn next_at(&self) -> Option<Instant> {
        self.plan.first_key_value().map(|(key, _)| key.0)
    }
}

impl State {
    pub(super) fn new(rng: StdRng, delays: Delays, trace: Trace) -> Self {
        Self {
            rng,
            delays,
            trace,
            wires: BTreeMap::new(),
            lanes: BTreeMap::new(),
            plan: BTreeMap::new(),
            links: BTreeMap::new(),
            down: BTreeSet::new(),
            paused_servers: BTreeSet::new(),
            dead: BTreeSet::new(),
            paused: BTreeSet::new(),
            next_wire: 0,
            next_plan: 0,
            delivered: 0,
            alarms: BTreeMap::new(),
        }
    }

    pub(super) fn open(&mut self, process: Process, server: Server, cut: CancellationToken) -> WireId {
        let id = self.next_wire;
        self.next_wire += 1;
        self.wires.insert(id, WireState { process, server, cut });
        if self.down.contains(&server) {
            self.close_server_end(id);
        }
        id
    }

    /// Puts a message on its way, unless nobody will ever hear of it.
    pub(super) fn send(&mut self, wire: WireId, direction: Direction, action: Action) {
        let Some(WireState { process, .. }) = self.wires.get(&wire) else {
            return;
        };
        if self.dead.contains(process) {
            return;
        }
        let is_frozen = direction == Direction::Up && self.paused.contains(process);
        let delay_ms = self.delay_ms();
        let lane = self.lanes.entry((wire, direction)).or_default();
        if lane.is_closed {
            return;
        }
        let last = lane.messages.back().map(|message| message.at);
        let at = Instant::now() + millis(delay_ms);
        lane.messages.push_back(Message {
            at: last.map_or(at, |last| last.max(at)),
            is_frozen,
            action,
        });
        self.plan_lane((wire, direction));
    }

    fn delay_ms(&mut self) -> u64 {
        let Delays {
            min_ms,
            max_ms,
            resent_one_in,
        } = self.delays;
        let resent = resent_one_in > 0 && self.rng.random_ratio(1, resent_one_in);
        self.rng.random_range(min_ms..=max_ms.max(min_ms)) + if resent { RESEND_MS } else { 0 }
    }

    /// The next message that is due, if any.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Action> {
        loop {
            let (&key, &lane_id) = self.plan.first_key_value()?;
            if key.0 > now {
                return None;
            }
            self.plan.remove(&key);
            let is_blocked = self.is_blocked(lane_id);
            let Some(lane) = self.lanes.get_mut(&lane_id) else {
                continue;
            };
            lane.planned = None;
            if is_blocked {
                continue;
            }
            let message = lane.messages.pop_front();
            self.plan_lane(lane_id);
            self.sweep(lane_id.0);
            if let Some(message) = message {
                self.delivered += 1;
                for alarm in self.alarms.remove(&self.delivered).into_iter().flatten() {
                    // Whoever waited may have stopped.
                    let _ = alarm.send(());
                }
                self.trace.mark(&lane_id.0.to_le_bytes());
                return Some(message.action);
            }
        }
    }

    /// Gives the alarm after so many deliveries; nothing when that is past.
    pub(super) fn alarm(&mut self, messages: u64) -> Option<oneshot::Receiver<()>> {
        if messages <= self.delivered {
            return None;
        }
        let (alarm, given) = oneshot::channel();
        self.alarms.entry(messages).or_default().push(alarm);
        Some(given)
    }

    /// Gives all alarms.
    pub(super) fn release(&mut self) {
        self.alarms.clear();
    }

    fn plan_lane(&mut self, id: LaneId) {
        if self.is_blocked(id) {
            return;
        }
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if lane.planned.is_none()
            && let Some(first) = lane.messages.front()
        {
            let key = (first.at.max(Instant::now()), self.next_plan);
            self.next_plan += 1;
            lane.planned = Some(key);
            self.plan.insert(key, id);
        }
    }

    fn is_blocked(&self, (id, direction): LaneId) -> bool {
        let Some(wire) = self.wires.get(&id) else {
            return true;
        };
        let link = self.links.get(&(wire.process.node, wire.server));
        let is_paused = self.paused.contains(&wire.process);
        link.is_some_and(|link| link.blocks(direction))
            || match direction {
                Direction::Up => {
                    let front = self
                        .lanes
                        .get(&(id, direction))
                        .and_then(|lane| lane.messages.front());
                    self.paused_servers.contains(&wire.server)
                        || is_paused && front.is_some_and(|message| message.is_frozen)
                }
                Direction::Down => is_paused || self.dead.contains(&wire.process),
            }
    }

    /// Plans what something stood in the way of.
    fn plan_all(&mut self) {
        let ids: Vec<LaneId> = self.lanes.keys().copied().collect();
        for id in ids {
            self.plan_lane(id);
        }
    }

    /// The process closes the wire. What it has sent arrives, or a tail of it is lost.
    pub(super) fn close_process_end(&mut self, id: WireId) {
        self.lose_tail((id, Direction::Up));
        self.close_lane((id, Direction::Up));
        self.lanes.remove(&(id, Direction::Down));
        self.close_lane((id, Direction::Down));
        self.sweep(id);
    }

    /// The server, or something on the way, closes the wire. The process hears of it after what it hears else.
    pub(super) fn close_server_end(&mut self, id: WireId) {
        let Some(wire) = self.wires.get(&id) else { return };
        let cut = wire.cut.clone();
        self.send(id, Direction::Down, Box::new(move || cut.cancel()));
        self.close_lane((id, Direction::Up));
        self.close_lane((id, Direction::Down));
        self.sweep(id);
    }

    fn close_lane(&mut self, id: LaneId) {
        self.lanes.entry(id).or_default().is_closed = true;
    }

    /// Loses what was sent last, by chance nothing or all of it. What is left to the server may be late.
    fn lose_tail(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let kept = self.rng.random_range(0..=lane.messages.len());
        lane.messages.truncate(kept);
        if kept == 0 || id.1 == Direction::Down || self.rng.random_ratio(2, 3) {
            return;
        }
        let late_ms_max = LATE_MS_MAX[self.rng.random_range(0..LATE_MS_MAX.len())];
        let late = millis(self.rng.random_range(0..=late_ms_max));
        for message in &mut lane.messages {
            message.at += late;
        }
        if let Some(key) = lane.planned.take() {
            self.plan.remove(&key);
            self.plan_lane(id);
        }
    }

    /// Forgets a wire that nothing can come through any more.
    fn sweep(&mut self, id: WireId) {
        let is_over = |direction| {
            let lane = self.lanes.get(&(id, direction));
            lane.is_some_and(|lane| lane.is_closed && lane.messages.is_empty())
        };
        if is_over(Direction::Up) && is_over(Direction::Down) {
            for direction in [Direction::Up, Direction::Down] {
                if let Some(Lane {
                    planned: Some(key), ..
                }) = self.lanes.remove(&(id, direction))
                {
                    self.plan.remove(&key);
                }
            }
            self.wires.remove(&id);
        }
    }

    pub(super) fn set_link(&mut self, node: Node, server: Server, link: Link) {
        self.trace
            .note(|| format!("link of {} to {server}: {link:?}", node.0));
        self.links.insert((node, server), link);
        self.plan_all();
    }

    pub(super) fn cut(&mut self, is_meant: impl Fn(Process, Server) -> bool) -> usize {
        let ids: Vec<WireId> = self
            .wires
            .iter()
            .filter(|(_, wire)| is_meant(wire.process, wire.server))
            .map(|(id, _)| *id)
            .collect();
        for &id in &ids {
            let wire = &self.wires[&id];
            let (process, server) = (wire.process, wire.server);
            self.trace.note(|| format!("cut {process} from {server}"));
            self.lose_tail((id, Direction::Up));
            self.lose_tail((id, Direction::Down));
            self.close_server_end(id);
        }
        ids.len()
    }

    pub(super) fn stop_server(&mut self, server: Server) {
        self.down.insert(server);
        let ids: Vec<WireId> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.server == server)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.lanes.remove(&(id, Direction::Up));
            self.lose_tail((id, Direction::Down));
            self.close_server_end(id);
        }
    }

    pub(super) fn start_server(&mut self, server: Server) {
        self.down.remove(&server);
    }

    pub(super) fn pause_server(&mut self, server: Server) {
        self.paused_servers.insert(server);
    }

    pub(super) fn resume_server(&mut self, server: Server) {
        self.paused_servers.remove(&server);
        self.plan_all();
    }

    pub(super) fn kill(&mut self, process: Process) {
        self.dead.insert(process);
        self.paused.remove(&process);
        let ids: Vec<WireId> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.process == process)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(lane) = self.lanes.get_mut(&(id, Direction::Up)) {
                lane.messages.retain(|message| !message.is_frozen);
            }
            self.close_process_end(id);
        }
        self.plan_all();
    }

    pub(super) fn pause(&mut self, process: Process) {
        self.paused.insert(process);
    }

    pub(super) fn resume(&mut self, process: Process) {
        self.paused.remove(&process);
        for ((id, direction), lane) in &mut self.lanes {
            if *direction == Direction::Up && self.wires[id].process == process {
                for message in &mut lane.messages {
                    message.is_frozen = false;
                }
            }
        }
        self.plan_all();
    }

    pub(super) fn heal(&mut self) {
        self.links.clear();
        self.paused_servers.clear();
        let paused: Vec<Process> = self.paused.iter().copied().collect();
        for process in paused {
            self.resume(process);
        }
        self.plan_all();
    }

    pub(super) fn is_dead(&self, process: Process) -> bool {
        self.dead.contains(&process)
    }

    pub(super) fn is_paused(&self, process: Process) -> bool {
        self.paused.contains(&process)
    }

    pub(super) fn is_open(&self, id: WireId) -> bool {
        self.wires.contains_key(&id)
            && self
                .lanes
                .get(&(id, Direction::Down))
                .is_none_or(|lane| !lane.is_closed)
    }
}
