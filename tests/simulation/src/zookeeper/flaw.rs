//! Mistakes that an ensemble can be given, so that the invariants can show that they find them.

use std::str::FromStr;

/// What is wrong with an ensemble, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A sync is answered without asking the leader.
    HollowSync,
    /// Every list of children claims to be newer than everything: who is not on it was never born, it seems.
    NewestList,
    /// Writes are executed although their session is over, or has gone to another server.
    NoFence,
    /// What belongs to a session does not go with it.
    EphemeralsStay,
    /// Nobody compares versions.
    BlindWrites,
    /// A transaction that sets something creates nothing: half of it is left out.
    TornWrites,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HollowSync,
        Self::NewestList,
        Self::NoFence,
        Self::EphemeralsStay,
        Self::BlindWrites,
        Self::TornWrites,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HollowSync => "hollow-sync",
            Self::NewestList => "newest-list",
            Self::NoFence => "no-fence",
            Self::EphemeralsStay => "ephemerals-stay",
            Self::BlindWrites => "blind-writes",
            Self::TornWrites => "torn-writes",
        }
    }
}

impl FromStr for Flaw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|flaw| flaw.name() == text);
        named.ok_or_else(|| format!("there is no mistake of the name {text:?}"))
    }
}
