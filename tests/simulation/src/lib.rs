//! Whole daemons in one thread, against modelled stores, in virtual time, by seed.
