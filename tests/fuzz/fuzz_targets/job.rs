#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| distjob_properties::job(input));
