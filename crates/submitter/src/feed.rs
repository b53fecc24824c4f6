//! The input, read by a thread of its own: whatever it is, it cannot hold up what keeps staged tasks alive.

use std::{
    fs::File,
    io::{BufRead, BufReader, IsTerminal as _, Read, Seek as _, copy, sink, stdin},
    path::Path,
    sync::Arc,
    thread,
};

use anyhow::Context as _;
use distjob_core::QueueName;
use distjob_runtime::chance;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use crate::{
    cli::Order,
    config::SubmitterConfig,
    digest::{Sum, Summed},
    lines::{InputError, Lines},
    pieces::{Cut, JobCut, Piece, Pieces},
    random::RandomNumbers,
};

/// Pieces as large as can be that are read ahead, and how many small ones.
const READ_AHEAD: u64 = 2;
const READ_AHEAD_SMALL: usize = 256;

/// What a task takes beside its bytes, about.
const TASK_COST: u64 = 32;

/// Bytes that one read of the input asks for.
pub(crate) const READ_BYTES: usize = 1 << 16;

type Tasks = Box<dyn Iterator<Item = Result<Vec<u8>, InputError>> + Send>;

/// How long the input is, as far as that is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// So many bytes, newlines included.
    Bytes(u64),
    /// So many tasks.
    Tasks(u64),
    /// Nobody knows.
    Unknown,
}

/// What is to be submitted.
pub(crate) struct Input {
    tasks: Tasks,
    /// How messages call it.
    name: String,
    extent: Extent,
}

impl Input {
    /// Opens the input that `order` names.
    pub(crate) fn open(order: &Order, max_task_bytes: u64) -> anyhow::Result<Self> {
        if let Some(count) = order.random_numbers {
            return Ok(Self {
                tasks: Box::new(RandomNumbers::new(chance::generator(), count).map(Ok)),
                name: "random numbers".to_owned(),
                extent: Extent::Tasks(count),
            });
        }
        match order.file.as_deref() {
            None => Ok(Self::stdin(max_task_bytes)),
            Some(path) if path == Path::new("-") => Ok(Self::stdin(max_task_bytes)),
            Some(path) => {
                Self::file(path, max_task_bytes).with_context(|| format!("failed to open {}", path.display()))
            }
        }
    }

    fn stdin(max_task_bytes: u64) -> Self {
        if stdin().is_terminal() {
            eprintln!("submitter: reading tasks from the terminal, one a line; end with ctrl-D");
        }
        Self {
            tasks: lines(BufReader::with_capacity(READ_BYTES, stdin()), max_task_bytes),
            name: "stdin".to_owned(),
            extent: Extent::Unknown,
        }
    }

    fn file(path: &Path, max_task_bytes: u64) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let extent = if metadata.is_file() {
            Extent::Bytes(metadata.len())
        } else {
            Extent::Unknown
        };
        Ok(Self {
            tasks: lines(BufReader::with_capacity(READ_BYTES, file), max_task_bytes),
            name: path.display().to_string(),
            extent,
        })
    }

    /// A file that was read before, with that sum behind these words: when it is another one now it fails at its end.
    pub(crate) fn summed_file(file: File, words: &[impl AsRef<[u8]>], sum: Sum, max_task_bytes: u64) -> Self {
        let summed = Summed::new(file, words).expecting(sum);
        Self {
            tasks: lines(BufReader::with_capacity(READ_BYTES, summed), max_task_bytes),
            name: "a file".to_owned(),
            extent: Extent::Unknown,
        }
    }

    /// The input that `order` names, read once already, so that its sum behind the name of the queue is known. Blocks.
    pub(crate) fn open_summed(
        order: &Order,
        queue: &QueueName,
        max_task_bytes: u64,
    ) -> anyhow::Result<(Self, Sum)> {
        let path = order.file.as_deref().filter(|path| *path != Path::new("-"));
        let name = path.map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
        let words = [queue.as_str()];
        let read = || -> std::io::Result<(File, Sum)> {
            let Some(path) = path else {
                return copied(stdin().lock(), &words);
            };
            let file = File::open(path)?;
            if !file.metadata()?.is_file() {
                return copied(file, &words);
            }
            let mut summed = Summed::new(&file, &words);
            copy(&mut summed, &mut sink())?;
            let sum = summed.sum();
            (&file).rewind()?;
            Ok((file, sum))
        };
        let (file, sum) = read().with_context(|| format!("failed to read {name}"))?;
        let length = file.metadata().map(|metadata| metadata.len());
        let input = Self {
            name,
            extent: length.map_or(Extent::Unknown, Extent::Bytes),
            ..Self::summed_file(file, &words, sum, max_task_bytes)
        };
        Ok((input, sum))
    }

    /// How long it is.
    pub(crate) const fn extent(&self) -> Extent {
        self.extent
    }

    /// Begins to read.
    pub(crate) fn feed(self, config: &SubmitterConfig, job: JobCut) -> anyhow::Result<Feed> {
        let cut = Cut {
            batch_bytes: config.push_max_bytes,
            batch_tasks: config.push_max_tasks,
            job,
        };
        let (sender, pieces) = mpsc::channel(READ_AHEAD_SMALL);
        let largest = config
            .push_max_bytes
            .saturating_add(config.push_max_tasks.saturating_mul(TASK_COST));
        let room_max = READ_AHEAD
            .saturating_mul(largest)
            .clamp(1, u64::from(u32::MAX) >> 4) as u32;
        let (room, runtime) = (Arc::new(Semaphore::new(room_max as usize)), Handle::current());
        let tasks = self.tasks;
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                for piece in Pieces::new(tasks, cut) {
                    let cost = u32::try_from(cost(&piece)).unwrap_or(u32::MAX).min(room_max);
                    // Never closed.
                    let Ok(room) = runtime.block_on(Arc::clone(&room).acquire_many_owned(cost)) else {
                        return;
                    };
                    // Nobody takes it: the program is about to end.
                    if sender.blocking_send(Some((piece, room))).is_err() {
                        return;
                    }
                }
                let _ = sender.blocking_send(None);
            })
            .context("failed to start a thread for the input")?;
        Ok(Feed {
            pieces,
            next: None,
            name: self.name,
        })
    }
}

/// An input that can be read only once, in a file that nobody else can see.
fn copied(input: impl Read, words: &[impl AsRef<[u8]>]) -> std::io::Result<(File, Sum)> {
    let mut file = tempfile::tempfile()?;
    let mut summed = Summed::new(input, words);
    copy(&mut summed, &mut file)?;
    file.rewind()?;
    Ok((file, summed.sum()))
}

fn lines(input: impl BufRead + Send + 'static, max_task_bytes: u64) -> Tasks {
    Box::new(Lines::new(input, max_task_bytes))
}

/// The pieces of an input that is being read.
pub(crate) struct Feed {
    pieces: mpsc::Receiver<Option<(Result<Piece, InputError>, OwnedSemaphorePermit)>>,
    /// What [`Feed::more_tasks`] met that is no task.
    next: Option<Option<Result<Piece, InputError>>>,
    name: String,
}

/// What a piece takes while it waits to be taken.
fn cost(piece: &Result<Piece, InputError>) -> u64 {
    match piece {
        Ok(Piece::Tasks(tasks)) => tasks.iter().map(|task| task.len() as u64 + TASK_COST).sum(),
        _ => 1,
    }
}

impl Feed {
    /// The next piece, `None` after the last. Cancel safe.
    ///
    /// # Errors
    /// As [`Feed::piece`], and of which input.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Piece>> {
        let piece = self.piece().await;
        piece.with_context(|| format!("failed to submit {}", self.name))
    }

    /// The next piece, `None` after the last. Cancel safe.
    ///
    /// # Errors
    /// When the input cannot be submitted; nothing follows then.
    pub(crate) async fn piece(&mut self) -> Result<Option<Piece>, InputError> {
        // The end is said, not concluded from silence: a reader that died must not make the input look shorter.
        let piece = match self.next.take() {
            Some(piece) => piece,
            None => self
                .pieces
                .recv()
                .await
                .ok_or(InputError::Cut)?
                .map(|(piece, _)| piece),
        };
        piece.transpose()
    }

    /// The tasks that follow in the same job, as far as they are there already: at most so many pieces.
    pub(crate) fn more_tasks(&mut self, most: usize) -> Vec<Vec<Vec<u8>>> {
        let mut more = Vec::new();
        while more.len() < most && self.next.is_none() {
            match self.pieces.try_recv() {
                Ok(Some((Ok(Piece::Tasks(tasks)), _))) => more.push(tasks),
                Ok(other) => self.next = Some(other.map(|(piece, _)| piece)),
                Err(_) => break,
            }
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(tasks: impl Iterator<Item = Result<Vec<u8>, InputError>> + Send + 'static) -> Feed {
        let input = Input {
            tasks: Box::new(tasks),
            name: "a test".to_owned(),
            extent: Extent::Unknown,
        };
        let config = SubmitterConfig {
            queue: QueueName::default_queue(),
            timeout: std::time::Duration::ZERO,
            push_max_bytes: 100,
            push_max_tasks: 1,
            max_task_bytes: 100,
            staging_ttl: std::time::Duration::ZERO,
        };
        input.feed(&config, JobCut::WHOLE).unwrap()
    }

    #[tokio::test]
    async fn all_pieces_arrive_and_then_the_end() {
        let mut feed = feed([Ok(vec![1]), Ok(vec![2]), Ok(vec![3])].into_iter());
        for byte in 1..=3 {
            assert_eq!(feed.next().await.unwrap(), Some(Piece::Tasks(vec![vec![byte]])));
        }
        assert_eq!(feed.next().await.unwrap(), Some(Piece::JobEnd));
        assert_eq!(feed.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_reader_that_dies_is_not_taken_for_the_end_of_the_input() {
        let mut feed = feed(std::iter::from_fn(|| panic!("this panic is part of the test")));
        let error = format!("{:#}", feed.next().await.unwrap_err());
        assert_eq!(error, "failed to submit a test: its reader ended before it did");
    }
}
