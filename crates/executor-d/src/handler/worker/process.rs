//! One process of a worker: what it was asked, and what becomes of that.

use std::{borrow::Cow, collections::BTreeMap, io, pin::pin, process::ExitStatus, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    join,
    net::unix::pipe,
    select,
    time::{Instant, sleep_until, timeout},
};

use super::{
    reply::{Garbage, Reply},
    request::Request,
    settings::WorkerSettings,
};
use crate::{
    handler::{
        Failure, Job, Task, Verdict,
        process::{Child, LineTooLong, Lines, Tail},
    },
    launcher,
};

/// What the pipes of a process that has ended may take to close, or a process to end that has closed its pipes.
const LINGER: Duration = Duration::from_millis(100);

/// What is read at once of a standard error.
const CHUNK: usize = 4096;

/// What a pipe holds, in chunks: what was written to it before some moment is no more.
const CHUNKS_IN_A_PIPE: usize = 16;

/// A process, and the tasks that it has not answered.
#[derive(Debug)]
pub(super) struct Process {
    settings: Arc<WorkerSettings>,
    child: Child,
    /// Whether it does not read any more,
    is_deaf: bool,
    /// or has closed its standard error.
    is_mute: bool,
    replies: Lines,
    /// Requests; those before `written` are on their way.
    requests: Vec<u8>,
    written: usize,
    /// Tasks by their request's id. The one that has waited longest is the first.
    asked: BTreeMap<u64, Asked>,
    /// The id of the last request.
    last_id: u64,
    /// How many it has answered.
    answered: u64,
    stderr: Tail,
}

#[derive(Debug)]
struct Asked {
    task: Task,
    due: Option<Instant>,
}

/// What a process did.
#[derive(Debug)]
pub(super) enum Event {
    /// It answered a request.
    Answered(Task, Verdict),
    /// It is of no use any more.
    Broken(Break),
}

/// Why a process is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// It has ended, or has closed its standard input or output.
    Ended,
    /// The request with this id took too long.
    TimedOut(u64),
    /// It wrote what is no reply.
    Garbage(Garbage),
    /// It wrote a line that is too long.
    TooLong,
}

/// What is left of a process.
#[derive(Debug)]
pub(super) struct Remains {
    /// The tasks that it did not answer, and whether it is the one to blame.
    pub(super) tasks: Vec<(Task, bool)>,
    /// What is said of the one to blame.
    pub(super) failure: Failure,
    /// Whether the program did not get so far as to run.
    pub(super) never_ran: bool,
    /// Whether it answered something in its life and then ended of its own will: it may not have seen the last request.
    pub(super) went_home: bool,
}

impl Break {
    /// Whether it is known which request it came of.
    pub(super) const fn names_a_request(&self) -> bool {
        matches!(
            self,
            Self::TimedOut(_) | Self::Garbage(Garbage { id: Some(_), .. })
        )
    }
}

impl Process {
    /// Of a process that was just started.
    pub(super) fn new(child: Child, settings: Arc<WorkerSettings>) -> Self {
        let bounds = settings.spawner.bounds();
        Self {
            replies: Lines::new(bounds.output_max),
            stderr: Tail::new(bounds.stderr_max),
            settings,
            child,
            is_deaf: false,
            is_mute: false,
            requests: Vec::new(),
            written: 0,
            asked: BTreeMap::new(),
            last_id: 0,
            answered: 0,
        }
    }

    /// How many requests it has not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.asked.len()
    }

    /// Whether it has answered anything.
    pub(super) const fn has_answered(&self) -> bool {
        self.answered > 0
    }

    /// Whether it was asked as often as a process may be.
    pub(super) fn is_used_up(&self) -> bool {
        self.settings
            .tasks_per_process
            .is_some_and(|most| self.last_id >= most.get())
    }

    /// Asks for one more task. [`Process::next`] writes that.
    pub(super) fn ask(&mut self, job: &Job, task: Task) {
        if self.asked.is_empty() {
            // What it said before is of no interest to this task.
            self.stderr = Tail::new(self.settings.spawner.bounds().stderr_max);
        }
        self.last_id += 1;
        Request {
            id: self.last_id,
            job: job.id.as_str(),
            index: task.index,
            attempt: task.attempt,
            queue: job.queue.as_str(),
            key: &job.idempotency_key(task.index),
            payload: task.payload(),
        }
        .push(&mut self.requests);
        // What the task waited for its process, which may have had to be started, is not counted.
        let due = self.settings.timeout.map(|timeout| Instant::now() + timeout);
        self.asked.insert(self.last_id, Asked { task, due });
    }

    /// Writes and reads, and returns when something has come of it.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost, and the next call goes on.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.take_reply() {
                return event;
            }
            let (oldest, due) = match self.asked.first_key_value() {
                Some((id, asked)) => (*id, asked.due),
                None => (0, None),
            };
            let Child {
                group,
                stdin,
                stdout,
                stderr,
                ..
            } = &mut self.child;
            let unwritten = &self.requests[self.written..];
            let is_deaf = self.is_deaf;
            let mut errors = [0; CHUNK];
            // A reply that is there counts, also when we come late, as after a stop of this machine. Replies end, for only so
            // many are expected; what may come without end comes last.
            select! {
                biased;
                read = stdout.read_buf(self.replies.space()) => {
                    if !is_some(&read) {
                        return Event::Broken(Break::Ended);
                    }
                }
                () = until(due) => return Event::Broken(Break::TimedOut(oldest)),
                () = async { if !is_deaf { group.exited().await } } => {
                    // What it wrote before its end counts.
                    let rest = stdout.read_buf(self.replies.space());
                    if !timeout(LINGER, rest).await.is_ok_and(|read| is_some(&read)) {
                        return Event::Broken(Break::Ended);
                    }
                }
                wrote = write(stdin, unwritten), if !unwritten.is_empty() && !is_deaf => self.wrote(&wrote),
                read = stderr.read(&mut errors), if !self.is_mute => match read {
                    Ok(bytes @ 1..) => hear(&mut self.stderr, &errors[..bytes]),
                    _ => self.is_mute = true,
                },
            }
        }
    }

    /// Makes of the next line what it means.
    fn take_reply(&mut self) -> Option<Event> {
        let read = match self.replies.next() {
            Ok(line) => Reply::read(line?),
            Err(LineTooLong) => return Some(Event::Broken(Break::TooLong)),
        };
        Some(match read.and_then(|reply| self.answer(reply)) {
            Ok((task, verdict)) => Event::Answered(task, verdict),
            Err(garbage) => Event::Broken(Break::Garbage(garbage)),
        })
    }

    fn answer(&mut self, Reply { id, said }: Reply) -> Result<(Task, Verdict), Garbage> {
        let only = || self.asked.first_key_value().map(|(id, _)| *id);
        let id = match id {
            None if self.settings.in_flight.get() > 1 => {
                return Err(Garbage::new(
                    "a reply needs the id of its request when several are in flight",
                ));
            }
            id => id.or_else(only),
        };
        let Some(Asked { task, .. }) = id.and_then(|id| self.asked.remove(&id)) else {
            return Err(Garbage::new(
                "a reply to what was not asked, or was answered before",
            ));
        };
        self.answered += 1;
        let verdict = said.map(Cow::Owned).map_err(|failure| {
            self.hear_now();
            failure.with_stderr(self.stderr.clone().into_bytes())
        });
        Ok((task, verdict))
    }

    fn wrote(&mut self, wrote: &io::Result<usize>) {
        match wrote {
            Ok(bytes) => self.written += bytes,
            Err(_) => self.is_deaf = true,
        }
        if self.written == self.requests.len() {
            self.requests.clear();
            self.written = 0;
        }
    }

    /// Takes what was written to the standard error before now.
    fn hear_now(&mut self) {
        let mut errors = [0; CHUNK];
        for _ in 0..CHUNKS_IN_A_PIPE {
            match self.child.stderr.read(&mut errors).now_or_never() {
                Some(Ok(bytes @ 1..)) => hear(&mut self.stderr, &errors[..bytes]),
                _ => return,
            }
        }
    }

    /// Ends the process, if it has not ended by itself, and says what is left of it. It is gone then.
    ///
    /// # Cancel safety
    /// Dropping the future ends the process in the background.
    pub(super) async fn bury(mut self, broken: Break) -> Remains {
        let mut has_ended = false;
        if broken == Break::Ended {
            let Child { group, stderr, .. } = &mut self.child;
            // Both come together, unless something else holds its pipes, or it has closed them and lives.
            let both = async { join!(group.exited(), hear_all(stderr, &mut self.stderr)) };
            let _ = timeout(LINGER, both).await;
            has_ended = group.exited().now_or_never().is_some();
        }
        self.hear_now();
        let Self {
            settings,
            child,
            replies,
            asked,
            answered,
            stderr: mut tail,
            ..
        } = self;
        let status = end(child, has_ended, &mut tail).await;
        let stderr = tail.into_bytes();
        let to_blame = match &broken {
            Break::TimedOut(id) | Break::Garbage(Garbage { id: Some(id), .. }) => Some(*id),
            _ if asked.len() == 1 => asked.keys().next().copied(),
            _ => None,
        };
        let refused = status.filter(|_| has_ended).and_then(|status| {
            let orders = &settings.spawner.bounds().orders;
            launcher::failure(orders, status, &stderr)
        });
        let never_ran = refused.is_some();
        let went_home = has_ended && answered > 0 && status.is_some_and(|status| status.success());
        let failure = match refused {
            Some(why) => Failure::new(why),
            None => settings.failure(&broken, status.filter(|_| has_ended), !replies.rest().is_empty()),
        };
        let tasks = asked
            .into_iter()
            .map(|(id, asked)| (asked.task, Some(id) == to_blame));
        Remains {
            tasks: tasks.collect(),
            failure: failure.with_stderr(stderr),
            never_ran,
            went_home,
        }
    }

    /// Lets an idle process come to its end: it finds that of its input, and is ended when that does not help.
    pub(super) fn dismiss(self) {
        let Child { group, stdin, .. } = self.child;
        group.dismiss(stdin);
    }
}

/// Sees a process to its end, and reads what it says meanwhile.
async fn end(child: Child, has_ended: bool, tail: &mut Tail) -> Option<ExitStatus> {
    let Child {
        group, mut stderr, ..
    } = child;
    if has_ended {
        return group.reap().ok();
    }
    let mut end = pin!(group.end());
    let status = select! {
        biased;
        status = &mut end => status,
        () = hear_all(&mut stderr, tail) => end.await,
    };
    status.ok()
}

async fn hear_all(stderr: &mut pipe::Receiver, tail: &mut Tail) {
    let mut errors = [0; CHUNK];
    while let Ok(bytes @ 1..) = stderr.read(&mut errors).await {
        hear(tail, &errors[..bytes]);
    }
}

fn hear(tail: &mut Tail, bytes: &[u8]) {
    tail.push(bytes);
    if tracing::enabled!(tracing::Level::DEBUG) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            tracing::debug!(line = %String::from_utf8_lossy(line), "a worker says");
        }
    }
}

async fn write(stdin: &mut Option<pipe::Sender>, bytes: &[u8]) -> io::Result<usize> {
    match stdin {
        Some(stdin) => stdin.write(bytes).await,
        None => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

const fn is_some(read: &io::Result<usize>) -> bool {
    matches!(read, Ok(1..))
}
