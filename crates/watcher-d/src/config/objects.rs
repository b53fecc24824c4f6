//! `[sink.objects]`: a store of objects, or a server that takes files by PUT.

use std::{collections::BTreeMap, path::PathBuf};

use distjob_runtime::config::{Problems, size};
use serde::{Deserialize, Serialize};

use crate::sink::objects;

/// Parts of less than this are refused by S3, but for the last one.
const PART_LEAST: u64 = 5 << 20;
/// More in memory for one part is a slip.
const PART_MOST: u64 = 512 << 20;

/// Where objects go, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// `s3://bucket/prefix`, `gs://`, `az://container`, or `http(s)://…`. A result's name is put behind it.
    pub url: String,
    /// What is larger goes in parts of about so many bytes.
    #[serde(with = "size")]
    pub part_size: u64,
    /// A PEM file of certificate authorities that are trusted beside those of the system; empty: none.
    pub ca_file: PathBuf,
    /// What the store needs to know beside, such as credentials; values may be [recipes](distjob_runtime::config::Recipe).
    pub options: BTreeMap<String, String>,
}

impl ObjectsConfig {
    /// Reports what cannot be used. Reads the files and variables that the options name.
    pub(super) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.part_size"),
            (PART_LEAST..=PART_MOST).contains(&self.part_size),
            "must be from 5MiB to 512MiB",
        );
        for (key, problem) in objects::problems(self) {
            problems.report(&format!("{table}.{key}"), problem);
        }
    }
}
