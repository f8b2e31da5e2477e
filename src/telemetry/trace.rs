//! The header `traceparent` of W3C Trace Context: of which trace a request is a part.

/// What a valid `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; never all zero.
    pub trace_id: [u8; 16],
    /// The caller's span in it; never all zero.
    pub parent_id: [u8; 8],
    /// Whether the caller may have recorded it.
    pub sampled: bool,
}

/// The length of version 00, and of what is known of later ones.
const LENGTH: usize = "00-".len() + 32 + "-".len() + 16 + "-00".len();

// === impl TraceParent ===

impl TraceParent {
    /// Reads the header's value; `None` where the recommendation has it passed over: a version
    /// `ff`, capital letters, ids of zeros, another length. Of later versions the known beginning
    /// is read.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let version = bytes::<1>(parts.next()?)?;
        let trace_id = bytes::<16>(parts.next()?)?;
        let parent_id = bytes::<8>(parts.next()?)?;
        let flags = bytes::<1>(parts.next()?)?;
        let whole = match (version, rest) {
            ([0xff], _) => false,
            (_, []) => true,
            ([0], _) => false,
            (_, [next, ..]) => *next == b'-',
        };
        let valid = whole && parts.next().is_none() && trace_id != [0; 16] && parent_id != [0; 8];
        valid.then_some(Self {
            trace_id,
            parent_id,
            sampled: flags.iter().any(|flags| flags & 1 == 1),
        })
    }
}

/// So many bytes in small hexadecimal digits.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in digits {
            let digit = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | digit;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    fn read(value: &str) -> Option<TraceParent> {
        TraceParent::read(value.as_bytes())
    }

    #[test]
    fn the_recommendations_example_is_read() {
        let found = read(&format!("00-{TRACE}-{PARENT}-01")).unwrap();
        assert_eq!(found.trace_id[..3], [0x4b, 0xf9, 0x2f]);
        assert_eq!(
            found.parent_id,
            [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
        );
        assert!(found.sampled);
        assert!(!read(&format!("00-{TRACE}-{PARENT}-00")).unwrap().sampled);
        assert!(!read(&format!("00-{TRACE}-{PARENT}-fe")).unwrap().sampled);
    }

    #[test]
    fn of_a_later_version_the_beginning_is_read() {
        let found = read(&format!("00-{TRACE}-{PARENT}-01"));
        assert_eq!(read(&format!("cc-{TRACE}-{PARENT}-01")), found);
        assert_eq!(read(&format!("cc-{TRACE}-{PARENT}-01-more")), found);
        assert_eq!(read(&format!("cc-{TRACE}-{PARENT}-01.more")), None);
    }

    #[test]
    fn what_is_not_as_recommended_is_none() {
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{zeros}-{PARENT}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!("00-{TRACE}-{PARENT}"),
            format!("00_{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}{PARENT}--01"),
            format!(" 00-{TRACE}-{PARENT}-01"),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
