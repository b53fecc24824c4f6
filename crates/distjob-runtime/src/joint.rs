//! One question for all who ask it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::Mutex;

/// Lets many who ask the same at the same time be answered together.
///
/// An answer counts only for those who asked before its question was sent, so each hears what is the case *after* it
/// asked; nothing is ever answered from memory. However many ask, one question is under way, and one more is to follow.
#[derive(Debug, Default)]
pub struct Joint<T> {
    /// Questions that were begun.
    begun: AtomicU64,
    /// The newest question that ended, and its answer if it has one.
    ended: Mutex<(u64, Option<T>)>,
}

impl<T: Clone> Joint<T> {
    /// Asks, or waits for the answer to what somebody else asks. A failure is nobody else's: who waited for that question
    /// asks by himself.
    ///
    /// # Errors
    /// Those of `question`.
    ///
    /// # Cancel safety
    /// As `question`'s. Whoever waits for the answer asks again.
    pub async fn ask<E, F>(&self, question: impl FnOnce() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let before = self.begun.load(SeqCst);
        let mut ended = self.ended.lock().await;
        if ended.0 > before {
            let answer = ended.1.clone();
            drop(ended);
            return match answer {
                Some(answer) => Ok(answer),
                // All at once: one after the other they would wait for a store that is away many times as long.
                None => question().await,
            };
        }
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let answer = question().await;
        *ended = (number, answer.as_ref().ok().cloned());
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use futures::future::join_all;
    use tokio::{
        join,
        time::{Instant, sleep},
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_meanwhile_share_the_next_answer_and_not_the_one_under_way() {
        let (joint, asked) = (Joint::default(), AtomicU64::new(0));
        let ask = || {
            joint.ask(async || {
                sleep(LONG).await;
                Ok::<_, Infallible>(asked.fetch_add(1, SeqCst) + 1)
            })
        };
        let (first, others) = join!(ask(), join_all((0..9).map(|_| ask())));
        assert_eq!(first, Ok(1));
        assert_eq!(others, [Ok(2); 9]);
        assert_eq!(ask().await, Ok(3), "nothing is answered from memory");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_the_failure_of_who_asked() {
        let joint = Joint::default();
        let ask = |answer: Result<u8, u8>| {
            joint.ask(async move || {
                sleep(LONG).await;
                answer
            })
        };
        let begun = Instant::now();
        assert_eq!(
            join!(ask(Ok(1)), ask(Err(2)), ask(Ok(3)), ask(Err(4))),
            (Ok(1), Err(2), Ok(3), Err(4))
        );
        assert_eq!(
            begun.elapsed(),
            3 * LONG,
            "nobody waits for more than one failure of others"
        );
    }
}
