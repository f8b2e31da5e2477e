"""What stands behind and before a proxy in these tests: an application that records what reaches it, and a client that
sends bytes as they are."""

import re
import socket
import threading


class Application:
    """Answers everything, and remembers each request as it came."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.lock, self.requests = threading.Lock(), []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve_while_there, args=(connection,), daemon=True).start()

    def serve_while_there(self, connection):
        try:
            self.serve(connection)
        except (OSError, ValueError):
            pass  # a proxy may leave in the middle of a request

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                method, _, rest = line.rstrip(b"\r\n").partition(b" ")
                target, _, _ = rest.rpartition(b" ")
                headers = []
                while (line := lines.readline().rstrip(b"\r\n")):
                    name, _, value = line.partition(b":")
                    headers.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
                of, trailers = dict(headers), []
                if "chunked" in of.get("transfer-encoding", ""):
                    body = b""
                    while (size := int(lines.readline().partition(b";")[0] or b"0", 16)):
                        body += lines.read(size)
                        lines.readline()
                    while (line := lines.readline().rstrip(b"\r\n")):
                        name, _, value = line.partition(b":")
                        trailers.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
                else:
                    body = lines.read(int(of.get("content-length", 0)))
                with self.lock:
                    self.requests.append(Seen(method.decode("latin-1"), target, headers, body, trailers))
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-Application: yes\r\n\r\n"
                connection.sendall(answer + (b"" if method == b"HEAD" else b"reached"))

    def taken(self):
        """What reached it since the last time."""
        with self.lock:
            requests, self.requests = self.requests, []
        return requests


class Seen:
    """A request as the application saw it."""

    def __init__(self, method, target, headers, body, trailers):
        self.method, self.target, self.headers, self.body, self.trailers = method, target, headers, body, trailers

    def all(self, name):
        return [value for of, value in self.headers if of == name]

    def one(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands twice: {values}"
        return values[0] if values else ""

    def __repr__(self):
        return f"{self.method} {self.target!r} {self.headers} {self.trailers or ''}"


def whole(raw, method):
    """Whether the answer has come whole; one without a length ends with its connection."""
    head, end, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return bool(end) and (method == "HEAD" or (length is not None and len(body) >= int(length[1])))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def ask(port, method, target, headers=(), body=b"", host="demo.example", patience=8, length=True, tls=None):
    """Sends a request as it is, byte by byte; the answer's status is 0 if there is none."""
    target = target.encode("utf-8") if isinstance(target, str) else target
    head = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: " + host.encode()]
    head += [header.encode("latin-1") for header in headers]
    head += [b"Connection: close"]
    if body and length:
        head.append(b"Content-Length: %d" % len(body))
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            connection = tls.wrap_socket(connection, server_hostname="localhost") if tls else connection
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
            raw = b""
            while not whole(raw, method) and (more := connection.recv(65536)):
                raw += more
    except OSError:
        return Answer(0, {}, b"")
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    found = re.match(r"HTTP/1\.[01] (\d+)", line)
    headers = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in rest)}
    return Answer(int(found[1]) if found else 0, headers, body)
