//! What the tasks of a run say, and what must become of each.
//!
//! A payload is `<submission>/<index>/<kind>`, so that every delivered line tells where it belongs, and a handler
//! whatever it has to know.

use std::{fmt, str::FromStr};

use distjob_core::Outcome;

/// What a handler does with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Takes so many milliseconds and succeeds.
    Works(u32),
    /// Fails, and says that it always will.
    Fails,
    /// Fails at so many attempts that are counted, then succeeds.
    Flaky(u32),
    /// Fails so many times through no fault of its own, then succeeds.
    Suffers(u32),
    /// Ends the process that runs it.
    Kills,
}

/// One task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The submission that it was first pushed in.
    pub submission: u32,
    /// Its index there.
    pub index: u32,
    /// What becomes of it.
    pub kind: Kind,
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            submission,
            index,
            kind,
        } = self;
        match kind {
            Kind::Works(ms) => write!(f, "{submission}/{index}/works{ms}"),
            Kind::Fails => write!(f, "{submission}/{index}/fails"),
            Kind::Flaky(failures) => write!(f, "{submission}/{index}/flaky{failures}"),
            Kind::Suffers(failures) => write!(f, "{submission}/{index}/suffers{failures}"),
            Kind::Kills => write!(f, "{submission}/{index}/kills"),
        }
    }
}

/// The text is no payload of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign;

impl FromStr for Payload {
    type Err = Foreign;

    fn from_str(text: &str) -> Result<Self, Foreign> {
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or(Foreign);
        let submission = part()?.parse().map_err(|_| Foreign)?;
        let index = part()?.parse().map_err(|_| Foreign)?;
        let kind = match part()? {
            "fails" => Kind::Fails,
            "kills" => Kind::Kills,
            counted => {
                let digits = counted
                    .find(|digit: char| digit.is_ascii_digit())
                    .ok_or(Foreign)?;
                let (word, number) = counted.split_at(digits);
                let number = number.parse().map_err(|_| Foreign)?;
                match word {
                    "works" => Kind::Works(number),
                    "flaky" => Kind::Flaky(number),
                    "suffers" => Kind::Suffers(number),
                    _ => return Err(Foreign),
                }
            }
        };
        match parts.next() {
            None => Ok(Self {
                submission,
                index,
                kind,
            }),
            Some(_) => Err(Foreign),
        }
    }
}

impl Payload {
    /// The payload of these bytes.
    ///
    /// # Errors
    /// When no run makes such bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Foreign> {
        std::str::from_utf8(bytes).map_err(|_| Foreign)?.parse()
    }

    /// What its handler says in the end.
    #[must_use]
    pub fn value(&self) -> String {
        format!("value of {self}")
    }

    /// Whether this can have become of it, where a task is run so often at most. What kills is given up after some
    /// deaths, with words that are the daemon's.
    #[must_use]
    pub fn allows(&self, outcome: Outcome<'_>, attempts: u32) -> bool {
        match (self.kind, outcome) {
            (Kind::Works(_) | Kind::Suffers(_), Outcome::Ok(value)) => value == self.value().as_bytes(),
            (Kind::Flaky(failures), Outcome::Ok(value)) => {
                failures < attempts && value == self.value().as_bytes()
            }
            (Kind::Flaky(failures), Outcome::Err(error)) => {
                failures >= attempts && error == self.value().as_bytes()
            }
            (Kind::Fails, Outcome::Err(error)) => error == self.value().as_bytes(),
            (Kind::Kills, Outcome::Err(_)) => true,
            _ => false,
        }
    }

    /// How many attempts its outcome tells of.
    #[must_use]
    pub fn counted(&self, attempts: u32) -> u32 {
        match self.kind {
            Kind::Flaky(failures) => attempts.min(failures + 1),
            _ => 1,
        }
    }

    /// How often it runs where nothing goes wrong.
    #[must_use]
    pub fn runs(&self, attempts: u32) -> u32 {
        match self.kind {
            Kind::Suffers(failures) => failures + 1,
            _ => self.counted(attempts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_as_what_it_was() {
        for kind in [
            Kind::Works(0),
            Kind::Works(70),
            Kind::Fails,
            Kind::Flaky(2),
            Kind::Suffers(1),
            Kind::Kills,
        ] {
            let payload = Payload {
                submission: 7,
                index: 3,
                kind,
            };
            assert_eq!(Payload::parse(payload.to_string().as_bytes()), Ok(payload));
        }
        for foreign in [
            "",
            "1/2",
            "1/2/breaks",
            "1/2/breaks3",
            "1/2/flaky",
            "1/2/fails/3",
            "x/2/fails",
        ] {
            assert_eq!(foreign.parse::<Payload>(), Err(Foreign), "{foreign}");
        }
    }
}
