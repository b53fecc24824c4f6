//! One connection.

use std::{sync::Arc, time::Duration};

use distjob_core::QueueName;
use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter, ReadHalf,
        WriteHalf,
    },
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};
use tracing::debug;

use super::{Server, Stream};
use crate::run::{
    batches::{Limits, Receipt},
    desk::SubmitError,
};

/// Lines of a connection that wait for their answers, at most.
const UNANSWERED_MAX: usize = 10_000;

/// Bytes that one read asks for.
const READ_BYTES: usize = 16 << 10;

/// How long the other side may take to accept answers.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// What a first line begins with that names a queue.
const QUEUE: &[u8] = b"queue ";

/// What a line is answered with.
enum Answer {
    /// What becomes of it.
    Promised(Receipt),
    /// Nothing, for this reason.
    Refused(String),
}

/// A connection, on both sides.
pub(super) struct Talk<'a> {
    server: &'a Server,
    input: BufReader<ReadHalf<Stream>>,
    output: BufWriter<WriteHalf<Stream>>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(server: &'a Server, stream: Stream) -> Self {
        let (input, output) = tokio::io::split(stream);
        Self {
            server,
            input: BufReader::with_capacity(READ_BYTES, input),
            output: BufWriter::new(output),
        }
    }

    /// Reads and answers, until the other side has said all, says something wrong, or the service ends; then everything
    /// that was read is answered first.
    pub(super) async fn hold(self) {
        let Self {
            server,
            mut input,
            mut output,
        } = self;
        let (answers, promised) = channel(UNANSWERED_MAX);
        let reading = async {
            if let Err(refusal) = read(server, &mut input, &answers).await {
                // When nobody answers any more there is nobody to tell.
                let _ = answers.send(Answer::Refused(refusal)).await;
            }
            drop(answers);
        };
        let writing = async {
            let written = write(server, &mut output, promised).await;
            // Waits for what is still on its way; the other side sees the end of the answers.
            written.and(output.shutdown().await)
        };
        let (written, ()) = tokio::join!(writing, reading);
        if let Err(error) = written {
            debug!(%error, "line connection failed");
        }
    }
}

/// Reads lines, and hands them in.
///
/// # Errors
/// What the other side is to be told last.
async fn read(
    server: &Server,
    input: &mut (impl AsyncBufRead + Unpin),
    answers: &Sender<Answer>,
) -> Result<(), String> {
    let hall = &server.hall;
    let mut queue = server.queue.clone();
    let mut is_first = true;
    loop {
        let next = async {
            hall.desk.gate.admit().await;
            next_line(input, hall.desk.settings.max_task_bytes, server.config.timeout).await
        };
        let line = tokio::select! {
            biased;
            () = hall.stop.requested() => return Ok(()),
            () = answers.closed() => return Ok(()),
            line = next => line?,
        };
        let Some(line) = line else { return Ok(()) };
        if std::mem::take(&mut is_first)
            && let Some(name) = line.strip_prefix(QUEUE)
        {
            queue = named(name)?;
            continue;
        }
        let limits = limits(server, &queue);
        let answer = match hall.batches.add(&queue, line, limits).await {
            Ok(receipt) => Answer::Promised(receipt),
            Err(error) => Answer::Refused(error.to_string()),
        };
        if answers.send(answer).await.is_err() {
            return Ok(());
        }
    }
}

fn named(name: &[u8]) -> Result<QueueName, String> {
    let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
    QueueName::new(name).map_err(|error| error.to_string())
}

fn limits(server: &Server, queue: &QueueName) -> Limits {
    let settings = server.hall.settings.borrow();
    let queue = settings.of_queue(queue);
    Limits {
        tasks: queue.max_tasks,
        bytes: queue.max_bytes,
        wait: queue.max_wait,
    }
}

/// The next line without its newline, `None` at the end. Cancel safe only between lines: what was read of one is lost.
///
/// # Errors
/// When it is too long, or does not end in time.
async fn next_line(
    input: &mut (impl AsyncBufRead + Unpin),
    limit: u64,
    patience: Duration,
) -> Result<Option<Vec<u8>>, String> {
    // Between lines there is no hurry.
    let Ok(true) = input.fill_buf().await.map(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    match timeout(patience, rest_of_line(input, limit)).await {
        Ok(line) => line,
        Err(_) => Err(format!("the line did not end within {patience:?}")),
    }
}

async fn rest_of_line(
    input: &mut (impl AsyncBufRead + Unpin),
    limit: u64,
) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    loop {
        // A connection that broke in the middle of a line said nothing that counts.
        let Ok(bytes) = input.fill_buf().await else {
            return Ok(None);
        };
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        if (line.len() + part.len()) as u64 > limit {
            return Err(format!(
                "the line has more than {limit} bytes, the most that a task may have"
            ));
        }
        line.extend_from_slice(part);
        if bytes.is_empty() {
            // A program that died in the middle of a line looks like that, too.
            return Err("the last line has no newline behind it, and may not be whole".to_owned());
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// Answers each line when its turn has come.
async fn write(
    server: &Server,
    output: &mut (impl AsyncWrite + Unpin),
    mut promised: Receiver<Answer>,
) -> std::io::Result<()> {
    loop {
        let answer = match promised.try_recv() {
            Ok(answer) => answer,
            Err(_) => {
                within_patience(output.flush()).await?;
                match promised.recv().await {
                    Some(answer) => answer,
                    None => return Ok(()),
                }
            }
        };
        let text = match answer {
            Answer::Refused(why) => refused(server, &why),
            Answer::Promised(receipt) => {
                // Others wait for the same job: what was said before should not wait with this one.
                if !receipt.is_known() {
                    within_patience(output.flush()).await?;
                }
                settled(server, receipt).await
            }
        };
        within_patience(output.write_all(text.as_bytes())).await?;
    }
}

async fn settled(server: &Server, receipt: Receipt) -> String {
    let outcome: Result<_, Arc<SubmitError>> = receipt.safe().await;
    match outcome {
        Ok(place) => {
            server.safe.inc();
            format!("+ {} {}\n", place.job, place.index)
        }
        Err(error) => refused(server, &error.to_string()),
    }
}

fn refused(server: &Server, why: &str) -> String {
    server.refused.inc();
    // One line, whatever it says.
    format!("- {}\n", why.replace(['\r', '\n'], " "))
}

async fn within_patience(write: impl Future<Output = std::io::Result<()>>) -> std::io::Result<()> {
    timeout(WRITE_PATIENCE, write)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}
