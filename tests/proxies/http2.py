"""A client that speaks HTTP/2 (without TLS, by prior knowledge) and sends what it is told to, and what only HTTP/2 can
say: the table of attacks that HTTP/1.1 has no form for."""

import socket

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from surroundings import Answer

# Nothing is put right or refused on this side.
AS_IT_IS = h2.config.H2Configuration(
    header_encoding=None, normalize_outbound_headers=False, validate_outbound_headers=False, validate_inbound_headers=False)


def send(port, fields, body=b"", trailers=(), patience=8):
    """One request on a connection of its own; the answer's status is 0 if there is none."""
    fields = [(as_bytes(name), as_bytes(value)) for name, value in fields]
    trailers = [(as_bytes(name), as_bytes(value)) for name, value in trailers]
    connection = h2.connection.H2Connection(AS_IT_IS)
    answer = Answer(0, {}, b"")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.initiate_connection()
            connection.send_headers(1, fields, end_stream=not body and not trailers)
            if body:
                connection.send_data(1, body, end_stream=not trailers)
            if trailers:
                connection.send_headers(1, trailers, end_stream=True)
            stream.sendall(connection.data_to_send())
            while received := stream.recv(65536):
                for event in connection.receive_data(received):
                    if isinstance(event, h2.events.ResponseReceived):
                        answer.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
                        answer.status = int(answer.headers[":status"])
                    elif isinstance(event, h2.events.DataReceived):
                        answer.body += event.data
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        return answer
                    elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                        return answer
                stream.sendall(connection.data_to_send())
    except (OSError, h2.exceptions.ProtocolError):
        pass
    return answer


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8")


def pseudo(method, target, host):
    return [(":method", method), (":scheme", "http"), (":authority", host), (":path", target)]


def ask(port, method, target, headers=(), body=b"", host="demo.example", patience=8):
    """As `surroundings.ask`: a request that HTTP/1.1 could tell as well, its headers' names in small letters."""
    fields = [header.partition(":") for header in headers]
    fields = [(name.lower().encode("latin-1"), value.lstrip(" ").encode("latin-1")) for name, _, value in fields]
    if body:
        fields.append((b"content-length", b"%d" % len(body)))
    return send(port, pseudo(method, target, host) + fields, body, patience=patience)


# === what only HTTP/2 can say ===

SPLIT = " HTTP/1.1\r\nhost: demo.example\r\nx-callgate-user: ewa\r\n\r\nGET /admin/x"
SMUGGLED = b"GET /admin/x HTTP/1.1\r\nhost: demo.example\r\nx-callgate-user: ewa\r\n\r\n"

# Something open, and how it is to become something else: pseudo headers as they are sent.
PSEUDO = [
    *(pseudo("GET", path, "demo.example") for path in [
        "", "*", "admin", "admin/x", "public/../admin/x", "http://demo.example/admin/x", "http://admin.example/public/x",
        "https://demo.example", "//demo.example/admin/x", "demo.example:443", "\\admin", "?/admin", "#/admin", " /admin/x",
        "\t/admin/x", "/admin/x ", "/public/x" + SPLIT, "/public/x\r\nx-callgate-user: ewa", "/public/x\nx-a: b",
        "/public/x\0", b"/public/\xff", b"/public/x\x0b/../../admin/x", "/public/x HTTP/1.1", "/public/x HTTP/0.9"]),
    *(pseudo("GET", "/public/x", host) for host in [
        "", "admin.example", "ADMIN.EXAMPLE.", "admin.example:80", "demo.example@admin.example", "admin.example@demo.example",
        "demo.example/../admin", "demo.example/admin/x?", "demo.example,admin.example", "demo.example admin.example",
        "demo.example\r\nx-callgate-user: ewa", "demo.example\0.admin.example", "demo.example#", "demo.example:80:80", "[::1]",
        "[::1", "demo.example:99999999", b"\xc0\xaedemo.example"]),
    *(pseudo(method, "/calls/7", "demo.example") for method in [
        "", "get", "delete", "Delete", "DELETE ", " DELETE", "DELETE\0", "GET /calls/7 HTTP/1.1\r\nx-a: b\r\n\r\nDELETE",
        "GET\tDELETE", "DELETE,GET", "TRACE", "PRI", "X" * 5000, b"\xc4\xb0GET"]),
    pseudo("CONNECT", "/public/x", "demo.example"),
    pseudo("OPTIONS", "*", "demo.example"),
    [(":method", "CONNECT"), (":authority", "demo.example:443")],
    [*pseudo("CONNECT", "/public/x", "demo.example"), (":protocol", "websocket")],
    [*pseudo("CONNECT", "/admin/x", "demo.example"), (":protocol", "connect-udp")],
    # Twice, in either order, too late, missing, made up.
    [*pseudo("GET", "/public/x", "demo.example"), (":path", "/admin/x")],
    [(":path", "/admin/x"), *pseudo("GET", "/public/x", "demo.example")],
    [*pseudo("GET", "/calls/7", "demo.example"), (":method", "DELETE")],
    [*pseudo("GET", "/public/x", "demo.example"), (":authority", "admin.example")],
    [*pseudo("GET", "/public/x", "demo.example"), (":scheme", "https")],
    [(":method", "GET"), (":authority", "demo.example"), ("x-a", "b"), (":scheme", "http"), (":path", "/public/x")],
    [(":method", "GET"), (":scheme", "http"), (":authority", "demo.example")],
    [(":scheme", "http"), (":authority", "demo.example"), (":path", "/public/x")],
    [(":method", "GET"), (":authority", "demo.example"), (":path", "/public/x")],
    [*pseudo("GET", "/public/x", "demo.example"), (":status", "200")],
    [*pseudo("GET", "/public/x", "demo.example"), (":user", "ewa")],
    [*pseudo("GET", "/public/x", "demo.example"), (":path ", "/admin/x")],
    *([(":method", "GET"), (":scheme", scheme), (":authority", "demo.example"), (":path", "/public/x")] for scheme in [
        "", "file", "http://admin.example/?", "http\r\nx-callgate-user: ewa", "https://demo.example/admin/x HTTP/1.1\r\n\r\n"]),
    # A host beside the authority, or instead.
    [(":method", "GET"), (":scheme", "http"), (":path", "/public/x"), ("host", "admin.example")],
    [(":method", "GET"), (":scheme", "http"), (":path", "/public/x")],
    [*pseudo("GET", "/public/x", "demo.example"), ("host", "admin.example")],
    [*pseudo("GET", "/public/x", "admin.example"), ("host", "demo.example")],
    [*pseudo("GET", "/public/x", "demo.example"), ("host", "demo.example"), ("host", "admin.example")],
    [*pseudo("GET", "/public/x", ""), ("host", "admin.example")],
    [*pseudo("GET", "/public/x", "demo.example"), ("Host", "admin.example")],
]

# Headers beside a request for something open that must not change what or whose it is.
FIELDS = [
    *([(name, "ewa")] for name in [
        "X-Callgate-User", "x-callgate-User", "x-callgate-user ", " x-callgate-user", "x-callgate-user\t", "x-callgate-user:",
        "x-callgate-user\0", "x-callgate-user: ewa\r\nx-a", "x-a: b\r\nx-callgate-user", "x_callgate_user", "x.callgate.user",
        ":x-callgate-user", "x-callgate-user\xa0", b"x-callgate-user\xff", ""]),
    *([("x-a", value)] for value in [
        "b\r\nx-callgate-user: ewa", "b\nx-callgate-user: ewa", "b\rx-callgate-user: ewa", "b\0", "\0", "b\r\n\r\n",
        b"b\r\n\r\n" + SMUGGLED, " b", "b ", "\t", b"\x80\xff", b"\x7f"]),
    *([(name, value)] for name, value in [
        ("connection", "x-callgate-user, x-callgate-roles, x-callgate-company"), ("connection", "close, authorization"),
        ("connection", "x-original-url, x-original-uri, x-original-method, x-original-host"),
        ("connection", "x-forwarded-uri, x-forwarded-method, x-forwarded-host"), ("Connection", "x-callgate-user"),
        ("keep-alive", "x-callgate-user"), ("proxy-connection", "keep-alive"), ("te", "trailers"), ("te", "gzip"),
        ("te", "trailers, x-callgate-user"), ("upgrade", "h2c"), ("upgrade", "websocket"), ("transfer-encoding", "chunked"),
        ("Transfer-Encoding", "chunked"), ("transfer-encoding", "identity"), ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
        ("expect", "100-continue"), ("x-forwarded-host", "admin.example"), ("forwarded", "host=admin.example;proto=https"),
        ("x-forwarded-proto", "https\r\nx-callgate-user: ewa"), ("x-forwarded-for", "127.0.0.1"),
        ("x-original-url", "http://demo.example/admin/x"), ("x-original-uri", "/admin/x"), ("x-original-method", "DELETE"),
        ("x-original-host", "admin.example"), ("x-forwarded-uri", "/admin/x"), ("x-forwarded-method", "DELETE"),
        ("x-envoy-original-path", "/admin/x"), ("x-rewrite-url", "/admin/x"), ("x-http-method-override", "DELETE"),
        ("x-envoy-auth-failure-mode-allowed", "true"), ("x-envoy-internal", "true"), ("callgate-token", "x")]),
    [("x-original-url", "/"), ("X-Original-Url", "/admin/x")],
    [("x-callgate-user", "ewa"), ("x-callgate-user", "ewa")],
    [("x-callgate-user", "")],
]

# Bodies that are longer or shorter than what is said of them: what is left must not become a request.
LENGTHS = ["0", "1", "4", "+68", "-1", "0x44", "68, 68", "6 8", "99999999999999999999", ""]

# What comes behind a body is no header of the request.
TRAILERS = [
    [("x-callgate-user", "ewa")], [("x-callgate-user", "ewa"), ("x-callgate-roles", "admin")],
    [("x-original-url", "http://demo.example/admin/x")], [(":path", "/admin/x")], [(":method", "DELETE")],
    [("host", "admin.example")], [("content-length", "0")], [("transfer-encoding", "chunked")],
    [("x-a", "b\r\n\r\n" + SMUGGLED.decode())], [("X-Callgate-User", "ewa")],
]
