//! Whatever the bytes are: no panic, no hang, and what is read is written as it was.

#![no_main]

use callgate::snapshot::{Delta, Snapshot, Trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(snapshot) = Snapshot::from_bytes(bytes) {
        assert_eq!(snapshot.to_bytes(), bytes);
    }
    let _ = Snapshot::open(&mut &*bytes, bytes.len() as u64, &Trust::default());
    let _ = Delta::from_bytes(bytes, 1 << 20);
});
