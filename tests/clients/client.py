"""What a Python application does: client.py PORT PATH FOLDER [AUTHORITY [CERTIFICATE]]; says ok."""

import http.client
import os
import socket
import ssl
import sys

port, path, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
authority, certificate = (sys.argv[4:] + [None, None])[:2]
JSON = {"Content-Type": "application/json"}


def read(name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


allow, deny = read("allow"), read("deny")
context = None
if authority:
    context = ssl.create_default_context(cafile=os.path.join(folder, authority))
    if certificate:
        chain = os.path.join(folder, certificate)
        context.load_cert_chain(chain + ".pem", chain + ".key")


def connection():
    if context:
        return http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=10)


class Unix(http.client.HTTPConnection):
    """A connection by the unix socket in the folder."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(os.path.join(folder, "decide.sock"))


def ask(client, body, expected, **more):
    client.request("POST", path, body, JSON, **more)
    answer = client.getresponse()
    told = (answer.status, answer.read())
    assert told == expected, (told, expected)


def converse(client):
    """Several requests on one connection, which stays open."""
    ask(client, allow, (200, b'{"decision":true}'))
    kept = client.sock
    ask(client, deny, (200, b'{"decision":false}'))
    pieces = (allow[at : at + 7] for at in range(0, len(allow), 7))
    ask(client, pieces, (200, b'{"decision":true}'), encode_chunked=True)
    client.request("POST", path, b"{", JSON)
    answer = client.getresponse()
    assert answer.status == 400 and b"invalid_json" in answer.read(), answer.status
    ask(client, allow, (200, b'{"decision":true}'))
    assert client.sock is kept, "the connection was not kept"
    client.close()


def pipeline(requests):
    """All requests at once; the answers in their order."""
    sock = socket.create_connection(("localhost", port), timeout=10)
    if context:
        sock = context.wrap_socket(sock, server_hostname="localhost")
    head = f"POST {path} HTTP/1.1\r\nHost: pdp\r\nContent-Type: application/json\r\n"
    for body in requests:
        sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    file = sock.makefile("rb")
    for body in requests:
        assert b" 200 " in file.readline()
        length = 0
        while (line := file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        expected = b'{"decision":true}' if body == allow else b'{"decision":false}'
        assert file.read(length) == expected
    sock.close()


converse(connection())
pipeline([allow, deny] * 50)
if not context:
    converse(Unix("pdp"))
print("ok")
