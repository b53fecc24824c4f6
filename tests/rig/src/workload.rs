//! The jobs of a run: submitted in every way at a rate that keeps the cluster busy, and what each submission was told.

mod answer;
mod order;

pub use self::answer::answer_of;
pub use self::order::{Manner, Order, Orders};
