//! How a file goes to a store: in one request, or, when it is large, in parts.
//!
//! What is in memory is bounded, whatever the size: [`AT_ONCE_MAX`] parts, or fewer where parts are large.

use std::path::Path as FilePath;

use bytes::{Bytes, BytesMut};
use distjob_runtime::drill;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    path::Path,
};
use tokio::{
    fs::File,
    io::AsyncReadExt as _,
    task::{JoinError, JoinSet},
};

use super::place::Content;
use crate::sink::http::chain;

/// How many parts are on their way at the same time, at most.
const AT_ONCE_MAX: u64 = 4;
/// So much of a result is in memory, beyond one part.
const MEMORY_MAX: u64 = 64 << 20;
/// More parts than this no store takes.
const PARTS_MAX: u64 = 10_000;

/// One object to be.
pub(super) struct Upload<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) path: &'a Path,
    /// What is larger goes in parts of so many bytes, or more, where there would be too many.
    pub(super) part_size: u64,
    pub(super) media_type: &'static str,
}

impl Upload<'_> {
    /// Uploads it.
    ///
    /// # Errors
    /// In words. What was uploaded of it is removed, if that is possible.
    pub(super) async fn put(&self, content: &Content<'_>) -> Result<(), String> {
        match content {
            Content::Bytes(bytes) => self.put_whole(bytes.clone()).await,
            Content::File(path) => self.put_file(path).await,
        }
    }

    async fn put_file(&self, path: &FilePath) -> Result<(), String> {
        let reading = |error: std::io::Error| format!("read {}: {error}", path.display());
        let mut file = File::open(path).await.map_err(reading)?;
        let size = file.metadata().await.map_err(reading)?.len();
        if size > self.part_size {
            return self.put_parts(file, size).await;
        }
        let whole = read_part(&mut file, self.part_size).await.map_err(reading)?;
        self.put_whole(whole).await
    }

    async fn put_whole(&self, bytes: Bytes) -> Result<(), String> {
        let options = PutOptions {
            attributes: self.attributes(),
            ..PutOptions::default()
        };
        let put = self
            .store
            .put_opts(self.path, PutPayload::from_bytes(bytes), options);
        put.await.map(drop).map_err(|error| chain(&error))
    }

    async fn put_parts(&self, file: File, size: u64) -> Result<(), String> {
        let options = PutMultipartOptions {
            attributes: self.attributes(),
            ..PutMultipartOptions::default()
        };
        let begun = self.store.put_multipart_opts(self.path, options).await;
        let mut upload = begun.map_err(|error| chain(&error))?;
        let sent = match send_parts(&mut *upload, file, part_size(size, self.part_size)).await {
            Ok(()) => upload.complete().await.map(drop).map_err(|error| chain(&error)),
            Err(why) => Err(why),
        };
        if sent.is_err()
            && let Err(error) = upload.abort().await
        {
            // It may also have come to its end unheard.
            tracing::debug!(path = %self.path, error = chain(&error), "failed to remove the parts of a failed upload");
        }
        sent
    }

    fn attributes(&self) -> Attributes {
        [(Attribute::ContentType, self.media_type)].into_iter().collect()
    }
}

/// Sends a file in parts, all of one size but the last: some stores insist.
async fn send_parts(upload: &mut dyn MultipartUpload, mut file: File, part_size: u64) -> Result<(), String> {
    let at_once = at_once(part_size);
    // Ends with this: nothing is sent any more once the upload is given up.
    let mut on_their_way = JoinSet::new();
    loop {
        let part = read_part(&mut file, part_size)
            .await
            .map_err(|error| format!("read the result: {error}"))?;
        if part.is_empty() {
            break;
        }
        on_their_way.spawn(upload.put_part(PutPayload::from_bytes(part)));
        while on_their_way.len() >= at_once {
            sent(on_their_way.join_next().await)?;
            drill::point("part-sent");
        }
    }
    while !on_their_way.is_empty() {
        sent(on_their_way.join_next().await)?;
    }
    Ok(())
}

fn sent(part: Option<Result<object_store::Result<()>, JoinError>>) -> Result<(), String> {
    match part {
        Some(Ok(Err(error))) => Err(chain(&error)),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(Ok(()))) | None => Ok(()),
    }
}

/// The next so many bytes; fewer only at the end.
async fn read_part(file: &mut File, size: u64) -> std::io::Result<Bytes> {
    let mut part = BytesMut::with_capacity(usize::try_from(size).unwrap_or(usize::MAX));
    let mut limited = file.take(size);
    while limited.read_buf(&mut part).await? > 0 {}
    Ok(part.freeze())
}

/// How large the parts of a file are.
fn part_size(file: u64, wanted: u64) -> u64 {
    wanted.max(file.div_ceil(PARTS_MAX))
}

/// How many of them are sent at the same time.
fn at_once(part_size: u64) -> usize {
    let fit = (MEMORY_MAX / part_size.max(1)).clamp(1, AT_ONCE_MAX);
    usize::try_from(fit).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn parts_are_as_large_as_asked_for_unless_there_would_be_too_many() {
        assert_eq!(part_size(100 * MIB, 8 * MIB), 8 * MIB);
        let huge: u64 = 1 << 40;
        assert_eq!(huge.div_ceil(part_size(huge, 8 * MIB)), PARTS_MAX);
    }

    #[test]
    fn memory_is_bounded_however_large_parts_are() {
        for (part, expected) in [(5 * MIB, 4), (16 * MIB, 4), (32 * MIB, 2), (512 * MIB, 1)] {
            assert_eq!(at_once(part), expected, "{part}");
        }
    }
}
