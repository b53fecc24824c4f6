//! What the rows of a result are packed in.
//!
//! ```text
//! rows ──► Encoder ──► Digesting ──► file
//!          gzip, zstd,  counts and hashes the bytes
//!          zip          that are delivered
//! ```
//!
//! All of it is a stream: what an encoder keeps is bounded by its format and level, not by the job.

mod digest;
mod zip;

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};

pub(crate) use self::digest::{Digested, Digesting};
use self::zip::ZipArchive;
use crate::format::Format;

/// What the rows of a result are packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archive {
    /// Nothing: they are the file.
    None,
    /// One gzip stream.
    Gzip,
    /// One Zstandard frame, with a checksum.
    Zstd,
    /// A zip file with the rows and the manifest.
    Zip,
}

impl Archive {
    /// What the name of a result ends with, without the dot before it.
    #[must_use]
    pub const fn ending(self, format: Format) -> &'static str {
        match (format, self) {
            (_, Self::Zip) => "zip",
            (Format::Jsonl, Self::None) => "jsonl",
            (Format::Jsonl, Self::Gzip) => "jsonl.gz",
            (Format::Jsonl, Self::Zstd) => "jsonl.zst",
            (Format::Csv, Self::None) => "csv",
            (Format::Csv, Self::Gzip) => "csv.gz",
            (Format::Csv, Self::Zstd) => "csv.zst",
            (Format::Raw, Self::None) => "txt",
            (Format::Raw, Self::Gzip) => "txt.gz",
            (Format::Raw, Self::Zstd) => "txt.zst",
        }
    }

    /// Whether there is an archive at all: then the ledger is told when it is durable.
    #[must_use]
    pub const fn is_packed(self) -> bool {
        !matches!(self, Self::None)
    }

    /// The highest level; the lowest is 1.
    #[must_use]
    pub const fn level_max(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Gzip | Self::Zip => 9,
            // Higher ones need hundreds of megabytes, of the readers, too.
            Self::Zstd => 19,
        }
    }
}

/// How a file is packed.
#[derive(Clone, Debug)]
pub(crate) struct Packing {
    pub(crate) archive: Archive,
    /// 0: the archive's own default.
    pub(crate) level: u32,
    /// What the rows are called inside, where they are called anything.
    pub(crate) inner_name: String,
    /// The date of what is inside, in milliseconds since 1970.
    pub(crate) date_ms: i64,
}

/// Packs bytes into a file.
pub(crate) enum Encoder<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    Zip(Box<ZipArchive<W>>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(packing: &Packing, writer: W) -> io::Result<Self> {
        let level = packing.level;
        Ok(match packing.archive {
            Archive::None => Self::None(writer),
            Archive::Gzip => Self::Gzip(GzEncoder::new(writer, compression(level))),
            Archive::Zstd => {
                let level = i32::try_from(level).unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                let mut encoder = zstd::Encoder::new(writer, level)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            Archive::Zip => Self::Zip(Box::new(ZipArchive::begin(packing, writer)?)),
        })
    }

    /// Ends the file; `manifest` is what stands in it beside the rows, where anything does.
    pub(crate) fn finish(self, manifest: impl FnOnce(&Digested) -> Vec<u8>) -> io::Result<W> {
        match self {
            Self::None(writer) => Ok(writer),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Zip(archive) => archive.finish(manifest),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(writer) => writer.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Zip(archive) => archive.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(writer) => writer.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Zip(archive) => archive.flush(),
        }
    }
}

/// Of gzip and zip.
fn compression(level: u32) -> Compression {
    match level {
        0 => Compression::default(),
        level => Compression::new(level),
    }
}
