//! Bytes of a file → text that may be read.

use super::Code;
use super::sink::{Finding, Sink, Span};

/// Bytes of a file that are read at most.
pub(super) const BYTES_MAX: usize = 256 << 20;

/// Bytes that are looked at together.
const CHUNK: usize = 4096;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of a file, without byte order mark; `None` if it cannot be read, which is then reported.
pub(super) fn text<'f>(sink: &Sink<'f>, file: u32) -> Option<&'f str> {
    let bytes = sink.content(file);
    if bytes.len() > BYTES_MAX {
        let message = format!(
            "file of {} bytes, at most {BYTES_MAX} are read",
            bytes.len()
        );
        sink.error(Code::TooLarge, Span::top(file), message);
        return None;
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let valid = std::str::from_utf8(valid).unwrap_or_default();
            let wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
            let found = if wide {
                "UTF-16"
            } else {
                "bytes that are not UTF-8"
            };
            Finding::error(
                Code::NotUtf8,
                end_of(file, valid),
                format!("file holds {found}"),
            )
            .help("save the file as UTF-8")
            .report(sink);
            return None;
        }
    };
    if text.trim().is_empty() {
        Finding::error(Code::EmptyFile, Span::top(file), "file is empty")
            .help("remove the file, or write an empty list under its key, such as `users: []`")
            .report(sink);
        return None;
    }
    controls(sink, file, text).then_some(text)
}

/// Whether there is no control character but tabs and line ends.
fn controls(sink: &Sink<'_>, file: u32, text: &str) -> bool {
    // Most files have none but line feeds. That is seen fast, many bytes at a time, as long as no
    // byte decides whether the next is looked at.
    let plain = |byte: &u8| (*byte >= 0x20 && *byte != 0x7f) || *byte == b'\n';
    let all_plain = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & plain(byte));
    if text.as_bytes().chunks(CHUNK).all(all_plain) {
        return true;
    }
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let line_end = byte == b'\r' && matches!(bytes.peek(), Some((_, b'\n')) | None);
        if (byte >= 0x20 && byte != 0x7f) || matches!(byte, b'\n' | b'\t') || line_end {
            continue;
        }
        let span = end_of(file, text.get(..at).unwrap_or_default());
        let finding = if byte == b'\r' {
            Finding::error(
                Code::ForbiddenCharacter,
                span,
                "carriage return without a line feed",
            )
            .help("save the file with line ends of Unix (LF) or Windows (CR LF)")
        } else {
            let message = format!("control character U+{byte:04X}");
            Finding::error(Code::ForbiddenCharacter, span, message)
        };
        finding.report(sink);
        return false;
    }
    true
}

/// The column behind `text`, which begins the file.
fn end_of(file: u32, text: &str) -> Span {
    let line = text.bytes().filter(|byte| *byte == b'\n').count();
    let last = text.rsplit('\n').next().unwrap_or_default();
    let column = u32::try_from(last.chars().count()).unwrap_or(u32::MAX - 2) + 1;
    let line = u32::try_from(line).unwrap_or(u32::MAX - 1) + 1;
    Span::line(file, line, column..column + 1)
}
