#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tonle_fuzz::snapshot::snapshot(bytes);
});
