//! Whether tasks are taken in at present.

use distjob_core::pressure::Pressure;
use tokio::sync::watch;

/// Nothing is taken in at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Busy(pub(crate) Pressure);

/// The door that every intake asks before it takes something in. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Gate(watch::Receiver<Option<Busy>>);

/// Who shuts the door and opens it.
#[derive(Debug)]
pub(crate) struct Keeper(watch::Sender<Option<Busy>>);

/// An open door.
pub(crate) fn gate() -> (Keeper, Gate) {
    let (keeper, gate) = watch::channel(None);
    (Keeper(keeper), Gate(gate))
}

impl Gate {
    /// Waits until the door is open. Cancel safe.
    pub(crate) async fn admit(&self) {
        // Without its keeper it stays as it is; nobody waits then but at the end of the program.
        let _ = self.0.clone().wait_for(Option::is_none).await;
    }

    /// Looks whether it is open.
    ///
    /// # Errors
    /// It is shut, and why.
    pub(crate) fn try_admit(&self) -> Result<(), Busy> {
        self.0.borrow().map_or(Ok(()), Err)
    }
}

impl Keeper {
    /// What it is shut for at present.
    pub(crate) fn pressure(&self) -> Option<Pressure> {
        self.0.borrow().map(|busy| busy.0)
    }

    /// Opens the door, or shuts it for a reason.
    pub(crate) fn set(&self, pressure: Option<Pressure>) {
        let busy = pressure.map(Busy);
        self.0.send_if_modified(|current| {
            let differs = *current != busy;
            *current = busy;
            differs
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_at_a_shut_door_is_let_in_when_it_opens() {
        let (keeper, gate) = gate();
        assert_eq!(gate.try_admit(), Ok(()));
        let pressure = Pressure::Away("redis");
        keeper.set(Some(pressure));
        assert_eq!(gate.try_admit(), Err(Busy(pressure)));
        assert_eq!(keeper.pressure(), Some(pressure));
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.admit().await }
        });
        keeper.set(None);
        waiting.await.unwrap();
        assert_eq!(gate.try_admit(), Ok(()));
    }
}
