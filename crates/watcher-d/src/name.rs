//! How results are called: a template such as `{queue}/{date}/{id}`.
//!
//! What is filled in is made of letters, digits, `_` and `-`, and so is, with `.` and `=`, what stands between. No part
//! between two slashes is empty or begins with a dot. So a name never leads out of a sink, never meets what a sink keeps
//! there for itself, and is the same path in a directory, in a bucket and in a URL. Between two placeholders whose values
//! have no certain length stands a character that no value has: no two jobs have one name for different values.

use std::fmt;

use distjob_core::{Conclusion, JobEntry, JobId};
use serde::{Deserialize, Serialize};

/// Longest text of a template between its placeholders, in bytes: the longest name of a file has 255.
const TEXT_BYTES_MAX: usize = 64;

const DAY_MS: i64 = 24 * 3600 * 1000;

const HOUR_MS: i64 = 3600 * 1000;

/// A template of names, see [the module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NameTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Queue,
    Id,
    Life,
    Date,
    Hour,
    Conclusion,
}

impl Place {
    const ALL: [(&'static str, Self); 6] = [
        ("queue", Self::Queue),
        ("id", Self::Id),
        ("life", Self::Life),
        ("date", Self::Date),
        ("hour", Self::Hour),
        ("conclusion", Self::Conclusion),
    ];

    const fn as_str(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// Whether all its values are equally long.
    const fn has_certain_length(self) -> bool {
        matches!(self, Self::Life | Self::Date | Self::Hour)
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name such as \"{{queue}}/{{date}}/{{id}}\", of letters, digits, \"_\", \"-\", \".\", \"=\" and \
     {{queue}}, {{id}}, {{life}}, {{date}}, {{hour}}, {{conclusion}}; {0}"
)]
pub struct NameTemplateError(&'static str);

impl NameTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// Says what a template is, and which rule of [the module](self) the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameTemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (before, after) = rest.split_once('{').unwrap_or((rest, ""));
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            if before.len() == rest.len() {
                break;
            }
            let (name, after) = after
                .split_once('}')
                .ok_or(NameTemplateError("one that is opened is not closed"))?;
            let known = Place::ALL.into_iter().find(|(known, _)| *known == name);
            let (_, place) = known.ok_or(NameTemplateError("it names another one"))?;
            pieces.push(Piece::Place(place));
            rest = after;
        }
        let template = Self(pieces);
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), NameTemplateError> {
        let texts = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Place(_) => None,
        });
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "_-.=/".contains(c);
        if !texts.clone().all(|text| text.chars().all(is_safe)) {
            return Err(NameTemplateError("it has another character"));
        }
        if texts.map(str::len).sum::<usize>() > TEXT_BYTES_MAX {
            return Err(NameTemplateError("it has more than 64 characters beside these"));
        }
        if !self.0.contains(&Piece::Place(Place::Id)) {
            return Err(NameTemplateError("without {id} all jobs would have one name"));
        }
        for part in self.to_string().split('/') {
            if part.is_empty() {
                return Err(NameTemplateError("nothing stands before or behind a slash"));
            }
            if part.starts_with('.') {
                return Err(NameTemplateError("a part begins with a dot"));
            }
            if part.matches('{').count() > 2 {
                return Err(NameTemplateError("more than two of them stand in one part"));
            }
        }
        match self.is_ambiguous() {
            true => Err(NameTemplateError(
                "between {queue}, {id} and {conclusion} must stand a \"/\", \".\" or \"=\": two jobs could have one name",
            )),
            false => Ok(()),
        }
    }

    /// Whether nothing tells where a value of uncertain length ends and the next begins.
    fn is_ambiguous(&self) -> bool {
        let mut is_open = false;
        self.0.iter().any(|piece| match piece {
            Piece::Text(text) => {
                is_open &= !text.contains(['/', '.', '=']);
                false
            }
            Piece::Place(place) if place.has_certain_length() => false,
            Piece::Place(_) => std::mem::replace(&mut is_open, true),
        })
    }

    /// The name of the result of job `id`, without endings: always the same for a job that came to the same.
    #[must_use]
    pub fn fill(&self, id: &JobId, entry: &JobEntry, conclusion: Conclusion) -> String {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Place(Place::Queue) => entry.data.queue.to_string(),
            Piece::Place(Place::Id) => id.to_string(),
            Piece::Place(Place::Life) => entry.life.to_string(),
            Piece::Place(Place::Date) => date(entry.created_ms),
            Piece::Place(Place::Hour) => format!("{:02}", entry.created_ms.rem_euclid(DAY_MS) / HOUR_MS),
            Piece::Place(Place::Conclusion) => conclusion.as_str().to_owned(),
        };
        self.0.iter().map(fill).collect()
    }
}

/// The day of a moment since 1970, in UTC: `2026-01-31`.
fn date(ms: i64) -> String {
    let (year, month, day) = civil(ms);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a moment since 1970, in UTC. By Howard Hinnant's days-to-civil algorithm: years begin in March,
/// so that the day that some years have more is their last.
pub(crate) fn civil(ms: i64) -> (i64, i64, i64) {
    let days = ms.div_euclid(DAY_MS) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Place(place) => write!(f, "{{{}}}", place.as_str()),
        })
    }
}

impl TryFrom<String> for NameTemplate {
    type Error = NameTemplateError;

    fn try_from(text: String) -> Result<Self, NameTemplateError> {
        Self::parse(&text)
    }
}

impl From<NameTemplate> for String {
    fn from(template: NameTemplate) -> Self {
        template.to_string()
    }
}

#[cfg(test)]
mod tests {
    use distjob_core::{JobData, Zxid};

    use super::*;

    fn filled(template: &str, created_ms: i64) -> String {
        let entry = JobEntry {
            data: JobData::parse(b"prcd=1;queue=Mail-1").unwrap(),
            life: Zxid::new(0x1f),
            version: 1,
            created_ms,
        };
        let template = NameTemplate::parse(template).unwrap();
        template.fill(&JobId::new("job").unwrap(), &entry, Conclusion::PartlyFailed)
    }

    #[test]
    fn every_placeholder_is_filled() {
        let template = "{queue}/year={date}/{hour}-{conclusion}/{id}.{life}";
        assert_eq!(
            filled(template, 1_769_878_799_999),
            "Mail-1/year=2026-01-31/16-partly-failed/job.000000000000001f"
        );
        assert_eq!(NameTemplate::parse(template).unwrap().to_string(), template);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_709_251_199_999, "2024-02-29"),
            (4_107_542_399_999, "2100-02-28"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(filled("{date}{id}", ms), format!("{date}job"), "{ms}");
        }
    }

    #[test]
    fn a_name_that_could_lead_astray_is_none() {
        for (text, why) in [
            ("", "without {id}"),
            ("{queue}", "without {id}"),
            ("{id", "is not closed"),
            ("{id}{nonsense}", "names another one"),
            ("../{id}", "begins with a dot"),
            ("a/../{id}", "begins with a dot"),
            (".partial/{id}", "begins with a dot"),
            ("/{id}", "before or behind a slash"),
            ("{id}/", "before or behind a slash"),
            ("a//{id}", "before or behind a slash"),
            ("a b/{id}", "another character"),
            ("{id}\n", "another character"),
            ("a}/{id}", "another character"),
            ("{id}-{queue}-{conclusion}", "more than two"),
            // Queue a-b and id c, or queue a and id b-c.
            ("{queue}-{id}", "two jobs could have one name"),
            ("{queue}{date}/{id}{conclusion}", "two jobs could have one name"),
        ] {
            let error = NameTemplate::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        let long = format!("{{id}}{}", "x".repeat(65));
        assert!(
            NameTemplate::parse(&long)
                .unwrap_err()
                .to_string()
                .contains("more than 64")
        );
    }
}
