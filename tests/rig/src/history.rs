//! Everything that is known of a run, as it was written down while it happened.
