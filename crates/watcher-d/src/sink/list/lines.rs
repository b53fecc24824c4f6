//! The lines of a result, in batches, whatever it is packed in.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    sync::Arc,
};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::script::Batch;
use crate::{
    archive::Archive,
    sink::{Parcel, SinkError},
};

/// Most lines in a batch: each is a command within the script.
const LINES_MAX: usize = 500;
/// About the most bytes in it.
const BYTES_MAX: usize = 256 << 10;
/// So many batches are read ahead.
const AHEAD: usize = 2;

/// Reads the lines of a result on a thread for what may block; dropping it ends that.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<io::Result<Batch>>);

impl Lines {
    /// Those of this result, which stays there while they are read.
    ///
    /// # Errors
    /// When it is packed in something that is not read line by line.
    pub(super) fn of(parcel: Arc<Parcel>) -> Result<Self, SinkError> {
        let (batches, received) = mpsc::channel(AHEAD);
        spawn_blocking(move || {
            let read = open(&parcel).and_then(|input| read_all(input, &batches));
            if let Err(error) = read {
                // Nobody is there to hear it when the delivery was given up.
                let _ = batches.blocking_send(Err(error));
            }
        });
        Ok(Self(received))
    }

    /// The next batch; none at the end.
    ///
    /// # Errors
    /// When the result cannot be read.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, SinkError> {
        let next = self.0.recv().await.transpose();
        next.map_err(|error| SinkError::new("read the result").because(error))
    }
}

fn open(parcel: &Parcel) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(&parcel.path)?;
    Ok(match parcel.manifest.archive {
        Archive::None => Box::new(BufReader::new(file)),
        Archive::Gzip => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))),
        Archive::Zstd => Box::new(BufReader::new(zstd::Decoder::new(file)?)),
        Archive::Zip => return Err(io::Error::other("a zip is not read line by line")),
    })
}

/// Sends all lines, or as many as somebody wants.
fn read_all(mut input: impl BufRead, batches: &mpsc::Sender<io::Result<Batch>>) -> io::Result<()> {
    let mut from = 0;
    loop {
        let entries = read_some(&mut input)?;
        if entries.is_empty() {
            return Ok(());
        }
        let batch = Batch { from, entries };
        from = batch.end();
        if batches.blocking_send(Ok(batch)).is_err() {
            return Ok(());
        }
    }
}

/// The next lines, without their ends; none at the end.
fn read_some(input: &mut impl BufRead) -> io::Result<Vec<Vec<u8>>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < LINES_MAX && bytes < BYTES_MAX {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        bytes += line.len();
        lines.push(line);
    }
    Ok(lines)
}
