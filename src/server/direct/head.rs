//! Heads of requests, as far as they say only what needs no interpreting.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// How many headers a plain head has at most.
pub(super) const FIELDS: usize = 32;

/// How the parser calls the version.
const HTTP_1_1: u8 = 1;

/// Room for the headers of a head.
pub(super) type Fields<'b> = [MaybeUninit<Header<'b>>; FIELDS];

/// What bytes are that begin a request.
pub(super) enum Read<'b, 'f> {
    /// The head is whole, and how long the request is can be said beyond doubt.
    Plain(Head<'b, 'f>),
    /// The head is not whole.
    Unfinished,
    /// All else: it is no request, or asks for something that is not said in each of them.
    Other,
}

/// A head of HTTP/1.1 that leaves no doubt where its request ends.
pub(in crate::server) struct Head<'b, 'f> {
    pub(in crate::server) method: &'b str,
    pub(in crate::server) target: &'b str,
    /// Bytes of the head.
    pub(in crate::server) len: usize,
    /// Bytes of the body.
    pub(super) body: usize,
    /// `Content-Type`, where it stands there once.
    pub(in crate::server) media_type: Option<&'b [u8]>,
    /// The first `X-Request-Id`.
    pub(in crate::server) request_id: Option<&'b [u8]>,
    fields: &'f [Header<'b>],
}

// === impl Head ===

impl<'b, 'f> Head<'b, 'f> {
    /// Reads a head by the parser that hyper uses, with its settings.
    pub(super) fn read(bytes: &'b [u8], room: &'f mut Fields<'b>) -> Read<'b, 'f> {
        let mut request = Request::new(&mut []);
        let len = match request.parse_with_uninit_headers(bytes, room) {
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) => return Read::Unfinished,
            Err(_) => return Read::Other,
        };
        let (Some(method), Some(target), Some(HTTP_1_1)) =
            (request.method, request.path, request.version)
        else {
            return Read::Other;
        };
        let mut head = Self {
            method,
            target,
            len,
            body: 0,
            media_type: None,
            request_id: None,
            fields: request.headers,
        };
        match head.interpret() {
            Some(()) if method != "CONNECT" => Read::Plain(head),
            _ => Read::Other,
        }
    }

    /// Takes what is needed from the headers; `None`: one of them makes the request another than
    /// it seems (RFC 9112, section 6.3), or says what is to become of the connection.
    fn interpret(&mut self) -> Option<()> {
        let (mut lengths, mut media_types) = (0, 0);
        for field in self.fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            // The length of a name tells most of them apart.
            match field.name.len() {
                6 if is("expect") => return None,
                7 if is("upgrade") => return None,
                10 if is("connection") && !field.value.eq_ignore_ascii_case(b"keep-alive") => {
                    return None;
                }
                12 if is("content-type") => {
                    media_types += 1;
                    self.media_type = Some(field.value).filter(|_| media_types == 1);
                }
                12 if is("x-request-id") => {
                    self.request_id = self.request_id.or(Some(field.value));
                }
                14 if is("content-length") => {
                    lengths += 1;
                    self.body = number(field.value).filter(|_| lengths == 1)?;
                }
                17 if is("transfer-encoding") => return None,
                _ => {}
            }
        }
        Some(())
    }

    /// Whether the target is a path alone, in letters that no reader of URIs takes amiss.
    pub(in crate::server) fn has_plain_path(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        self.target.starts_with('/') && self.target.bytes().all(is_plain)
    }

    /// All headers.
    pub(in crate::server) fn headers(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::with_capacity(self.fields.len());
        for field in self.fields {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
        Some(headers)
    }
}

/// A number of bytes in plain digits.
fn number(digits: &[u8]) -> Option<usize> {
    // So many make no overflow.
    if !(1..=9).contains(&digits.len()) {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + usize::from(digit - b'0');
    }
    Some(number)
}

/// Room for a head.
pub(super) const fn room<'b>() -> Fields<'b> {
    [const { MaybeUninit::uninit() }; FIELDS]
}
