//! Messages as gRPC frames them: whether compressed, how long, and the message.

use hyper::body::Bytes;
use prost::Message;

/// Before each message: a flag and a length.
const PREFIX_BYTES: usize = 5;

/// Why a body is not one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// Compressed messages are not taken, and nobody was told that they are.
    Compressed,
    /// It ends too early, goes on after its end, or is none.
    Malformed,
}

/// Reads the one message of a body.
pub(super) fn read<M: Message + Default>(mut body: Bytes) -> Result<M, FrameError> {
    if body.len() < PREFIX_BYTES {
        return Err(FrameError::Malformed);
    }
    let message = body.split_off(PREFIX_BYTES);
    let length = match *body {
        [0, a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
        [1, ..] => return Err(FrameError::Compressed),
        _ => return Err(FrameError::Malformed),
    };
    if length as usize != message.len() {
        return Err(FrameError::Malformed);
    }
    M::decode(message).map_err(|_| FrameError::Malformed)
}

/// Frames a message.
pub(super) fn write(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = Vec::with_capacity(PREFIX_BYTES + length);
    framed.push(0);
    // What is answered is far below 4 GiB.
    framed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    // There is room in a vector, and nothing else can fail.
    let _ = message.encode(&mut framed);
    framed.into()
}
