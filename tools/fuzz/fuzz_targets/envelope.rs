#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tcs_secret_delivery_core::fuzzing::envelope(data));
