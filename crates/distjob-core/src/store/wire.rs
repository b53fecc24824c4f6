//! Taking a flat reply apart.

use std::{fmt::Display, str::FromStr};

use super::Payloads;
use crate::{Holder, Lease, Source, Token, conclusion::Conclusion};

/// A reply that is none of the script's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The reply is not a flat list of strings.
    #[error("the store's reply is {0} where a list of strings was expected")]
    Shape(String),
    /// The reply begins with a word that this script does not use.
    #[error("the store's reply begins with the unknown word {0:?}")]
    Word(String),
    /// The reply ends too early.
    #[error("the store's reply ends before its {0}")]
    Missing(&'static str),
    /// A part cannot be read.
    #[error("the store's reply has the {what} {text:?}: {why}")]
    Part {
        /// What it should be.
        what: &'static str,
        /// What it is, cut short.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The reply goes on after its end.
    #[error("the store's reply has {0} parts too many")]
    Surplus(usize),
}

/// The parts of a reply, taken one by one from the front.
pub(super) struct Parts {
    rest: std::vec::IntoIter<Vec<u8>>,
}

impl Parts {
    pub(super) fn new(reply: Vec<Vec<u8>>) -> Self {
        Self {
            rest: reply.into_iter(),
        }
    }

    pub(super) fn bytes(&mut self, what: &'static str) -> Result<Vec<u8>, ReplyError> {
        self.rest.next().ok_or(ReplyError::Missing(what))
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<String, ReplyError> {
        let bytes = self.bytes(what)?;
        String::from_utf8(bytes)
            .map_err(|e| bad(what, &String::from_utf8_lossy(e.as_bytes()), &"is not text"))
    }

    /// A part that has a text form of its own: a number, a zxid, a holder.
    pub(super) fn parse<T>(&mut self, what: &'static str) -> Result<T, ReplyError>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(what)?;
        text.parse().map_err(|e: T::Err| bad(what, &text, &e))
    }

    pub(super) fn leases(&mut self) -> Result<Vec<Lease>, ReplyError> {
        let text = self.text("leases")?;
        Lease::parse_list(&text).map_err(|e| bad("leases", &text, &e))
    }

    pub(super) fn source(&mut self) -> Result<Source, ReplyError> {
        let text = self.text("source")?;
        if text.is_empty() {
            return Ok(Source::Plain);
        }
        Token::new(text.as_str())
            .map(Source::Staged)
            .map_err(|e| bad("source", &text, &e))
    }

    /// What a job came to; nothing when that is not known.
    pub(super) fn conclusion(&mut self) -> Result<Option<Conclusion>, ReplyError> {
        let text = self.text("conclusion")?;
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = text.parse().map(Some);
        parsed.map_err(|e: &str| bad("conclusion", &text, &e))
    }

    /// All that is left, which must be [runs](super::Payloads) of payloads.
    pub(super) fn payloads(self) -> Result<Payloads, ReplyError> {
        let mut payloads = Payloads::default();
        for run in self.rest {
            payloads.push_run(&run).map_err(|why| bad("payloads", "", &why))?;
        }
        Ok(payloads)
    }

    /// As [`Parts::payloads`], and there must be exactly `count` of them.
    pub(super) fn payloads_of(self, count: u64) -> Result<Payloads, ReplyError> {
        let payloads = self.payloads()?;
        let got = payloads.len() as u64;
        if got < count {
            return Err(ReplyError::Missing("payloads"));
        }
        if got > count {
            return Err(ReplyError::Surplus((got - count) as usize));
        }
        Ok(payloads)
    }

    /// The next `count` holders, sorted: the store has them in no order.
    pub(super) fn holders(&mut self, count: usize) -> Result<Vec<Holder>, ReplyError> {
        let holders = (0..count).map(|_| self.parse("holder"));
        let mut holders = holders.collect::<Result<Vec<_>, _>>()?;
        holders.sort();
        Ok(holders)
    }

    /// How many parts are left.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.len() == 0
    }

    /// `value`, when nothing is left.
    pub(super) fn end<T>(self, value: T) -> Result<T, ReplyError> {
        match self.rest.len() {
            0 => Ok(value),
            surplus => Err(ReplyError::Surplus(surplus)),
        }
    }
}

pub(super) fn bad(what: &'static str, text: &str, why: &dyn Display) -> ReplyError {
    ReplyError::Part {
        what,
        text: text.chars().take(60).collect(),
        why: why.to_string(),
    }
}
