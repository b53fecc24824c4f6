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
    /// Fails.
    Fails,
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
            works => {
                let ms = works.strip_prefix("works").ok_or(Foreign)?;
                Kind::Works(ms.parse().map_err(|_| Foreign)?)
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

    /// Whether this can have become of it. What kills is given up after some deaths, with words that are the daemon's.
    #[must_use]
    pub fn allows(&self, outcome: Outcome<'_>) -> bool {
        match (self.kind, outcome) {
            (Kind::Works(_), Outcome::Ok(value)) => value == self.value().as_bytes(),
            (Kind::Fails, Outcome::Err(error)) => error == self.value().as_bytes(),
            (Kind::Kills, Outcome::Err(_)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_as_what_it_was() {
        for kind in [Kind::Works(0), Kind::Works(70), Kind::Fails, Kind::Kills] {
            let payload = Payload {
                submission: 7,
                index: 3,
                kind,
            };
            assert_eq!(Payload::parse(payload.to_string().as_bytes()), Ok(payload));
        }
        for foreign in ["", "1/2", "1/2/breaks", "1/2/fails/3", "x/2/fails"] {
            assert_eq!(foreign.parse::<Payload>(), Err(Foreign), "{foreign}");
        }
    }
}
