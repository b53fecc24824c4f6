//! A switch for Ethernet frames in user space: one thread between the TAP devices of all hosts.
//!
//! It answers ARP itself, so that a link that is down is silent and not "no route to host".

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tappers::Tap;

use super::frame::{arp_announcement, arp_reply, asked_for, destination, mac_of};
use super::rule::{Fate, Links, Rule};

/// Larger than any frame of a host: its interfaces have an MTU of 9,000.
const FRAME_BYTES_MAX: usize = 16 * 1024;
/// Frames taken from one host before the next one has its turn.
const FRAMES_A_TURN: usize = 32;
/// Frames that wait for their time, in all links. One more is lost, as in any switch whose memory is full.
const WAITING_MAX: usize = 20_000;

/// The running switch. Dropping it ends its thread.
pub(super) struct Switch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Readable when the thread is to look at `state` again.
    wake: OwnedFd,
    state: Mutex<State>,
}

struct State {
    ports: HashMap<Ipv4Addr, Arc<Tap>>,
    /// Addresses that wander, and where they are at present.
    names: HashMap<Ipv4Addr, Ipv4Addr>,
    links: Links,
    stopping: bool,
}

impl Switch {
    pub(super) fn start(seed: u64) -> Result<Switch> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).context("make an eventfd")?;
        let state = Mutex::new(State {
            ports: HashMap::new(),
            names: HashMap::new(),
            links: Links::new(seed),
            stopping: false,
        });
        let shared = Arc::new(Shared { wake, state });
        let mut forwarder = Forwarder {
            shared: Arc::clone(&shared),
            waiting: BinaryHeap::new(),
            number: 0,
        };
        let thread = thread::Builder::new()
            .name("switch".to_owned())
            .spawn(move || forwarder.run())
            .context("start the switch")?;
        Ok(Switch {
            shared,
            thread: Some(thread),
        })
    }

    /// Connects a host. Its TAP must not block.
    pub(super) fn plug(&self, ip: Ipv4Addr, tap: Tap) {
        self.shared.lock().ports.insert(ip, Arc::new(tap));
        self.shared.wake();
    }

    pub(super) fn rule(&self, from: Ipv4Addr, to: Ipv4Addr, rule: Rule) {
        self.shared.lock().links.rule(from, to, rule);
    }

    pub(super) fn heal(&self) {
        self.shared.lock().links.heal();
    }

    /// Sends what is for `name` to the host `ip` from now on, and tells all hosts.
    pub(super) fn point(&self, name: Ipv4Addr, ip: Ipv4Addr) {
        let mut state = self.shared.lock();
        state.names.insert(name, ip);
        let announcement = arp_announcement(name, mac_of(ip));
        for tap in state.ports.values() {
            // A host that is about to go need not know.
            let _ = tap.send(&announcement);
        }
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").finish_non_exhaustive()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Fails only when it is readable already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

struct Forwarder {
    shared: Arc<Shared>,
    /// By the time of arrival, then in the order of sending.
    waiting: BinaryHeap<Reverse<Waiting>>,
    number: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: Instant,
    number: u64,
    to: Ipv4Addr,
    frame: Vec<u8>,
}

impl Forwarder {
    fn run(&mut self) {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        loop {
            let ports: Vec<_> = {
                let state = self.shared.lock();
                if state.stopping {
                    return;
                }
                (state.ports.iter().map(|(ip, tap)| (*ip, Arc::clone(tap)))).collect()
            };
            for (ip, tap) in self.readable(&ports) {
                self.take_from(ip, tap, &mut buffer);
            }
            self.deliver_due(Instant::now());
        }
    }

    /// Waits until a host sends, a frame is due, or something changed; returns the hosts that sent.
    fn readable<'a>(&self, ports: &'a [(Ipv4Addr, Arc<Tap>)]) -> Vec<(Ipv4Addr, &'a Tap)> {
        let mut fds: Vec<_> = (ports.iter())
            .map(|(_, tap)| PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN))
            .collect();
        fds.push(PollFd::new(&self.shared.wake, PollFlags::IN));
        let until_due = self
            .waiting
            .peek()
            .map(|first| first.0.due.saturating_duration_since(Instant::now()));
        let timeout = until_due.and_then(|until| Timespec::try_from(until).ok());
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        // Empties it; nothing to read is fine.
        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        (ports.iter().zip(&fds))
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|((ip, tap), _)| (*ip, &**tap))
            .collect()
    }

    fn take_from(&mut self, from: Ipv4Addr, tap: &Tap, buffer: &mut [u8]) {
        for _ in 0..FRAMES_A_TURN {
            match tap.recv(buffer) {
                Ok(length) => self.forward(from, tap, &buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The host is gone, and its device with it.
                    self.shared.lock().ports.remove(&from);
                    return;
                }
            }
        }
    }

    fn forward(&mut self, from: Ipv4Addr, tap: &Tap, frame: &[u8]) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        if let Some(asked) = asked_for(frame) {
            let ip = state.names.get(&asked).copied().unwrap_or(asked);
            // A host that looks whether its own address is free must hear nothing.
            if ip != from && state.ports.contains_key(&ip) {
                let _ = tap.send(&arp_reply(from, asked, mac_of(ip)));
            }
            return;
        }
        let Some(to) = destination(frame) else { return };
        match state.links.fate(from, to, now) {
            Fate::Now => state.hand_over(to, frame),
            Fate::At(due) if self.waiting.len() < WAITING_MAX => {
                self.number += 1;
                self.waiting.push(Reverse(Waiting {
                    due,
                    number: self.number,
                    to,
                    frame: frame.to_owned(),
                }));
            }
            Fate::Lost | Fate::At(_) => {}
        }
    }

    fn deliver_due(&mut self, now: Instant) {
        while let Some(first) = self.waiting.peek_mut()
            && first.0.due <= now
        {
            let Reverse(frame) = std::collections::binary_heap::PeekMut::pop(first);
            self.shared.lock().hand_over(frame.to, &frame.frame);
        }
    }
}

impl State {
    fn hand_over(&self, to: Ipv4Addr, frame: &[u8]) {
        if let Some(tap) = self.ports.get(&to) {
            // A host that cannot take it loses it, as on any wire.
            let _ = tap.send(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn frames_wait_by_their_time_and_among_equals_in_order() {
        let start = Instant::now();
        let at = |ms, number| {
            Reverse(Waiting {
                due: start + Duration::from_millis(ms),
                number,
                to: Ipv4Addr::LOCALHOST,
                frame: Vec::new(),
            })
        };
        let mut waiting = BinaryHeap::from([at(2, 1), at(1, 3), at(1, 2)]);
        let order: Vec<_> = std::iter::from_fn(|| waiting.pop())
            .map(|first| first.0.number)
            .collect();
        assert_eq!(order, [2, 3, 1]);
    }
}
