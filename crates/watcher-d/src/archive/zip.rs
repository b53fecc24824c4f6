//! A zip file with the rows and the manifest, written as a stream.

use std::io::{self, Write};

use zip::{
    CompressionMethod, DateTime, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use super::{Digested, Digesting, Packing};

/// What the manifest is called inside.
const MANIFEST: &str = "manifest.json";

/// A zip file that is being written: first the rows, then the manifest, which says what the rows are.
///
/// Sizes and checksums stand behind each of the two, as nobody knows them before, and where there is room for those of
/// large files.
pub(crate) struct ZipArchive<W: Write> {
    rows: Digesting<ZipWriter<StreamWriter<W>>>,
    options: SimpleFileOptions,
}

impl<W: Write> ZipArchive<W> {
    pub(super) fn begin(packing: &Packing, writer: W) -> io::Result<Self> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level((packing.level > 0).then_some(i64::from(packing.level)))
            .last_modified_time(date_time(packing.date_ms))
            .unix_permissions(0o644);
        let mut zip = ZipWriter::new_stream(writer);
        zip.start_file(&*packing.inner_name, options.large_file(true))?;
        Ok(Self {
            rows: Digesting::new(zip),
            options,
        })
    }

    pub(super) fn finish(self, manifest: impl FnOnce(&Digested) -> Vec<u8>) -> io::Result<W> {
        let (mut zip, digested) = self.rows.finish();
        zip.start_file(MANIFEST, self.options)?;
        zip.write_all(&manifest(&digested))?;
        Ok(zip.finish()?.into_inner())
    }
}

impl<W: Write> Write for ZipArchive<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rows.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.rows.flush()
    }
}

/// The date as zip files have it, in UTC; the first that they can have when it is none of theirs.
fn date_time(ms: i64) -> DateTime {
    let (year, month, day) = crate::name::civil(ms);
    let seconds = ms.div_euclid(1000).rem_euclid(24 * 3600);
    let part = |value: i64| u8::try_from(value).ok();
    let date_time = || {
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let year = u16::try_from(year).ok()?;
        DateTime::from_date_and_time(
            year,
            part(month)?,
            part(day)?,
            part(hour)?,
            part(minute)?,
            part(second)?,
        )
        .ok()
    };
    date_time().unwrap_or_default()
}
