"""Servers that snapshots are published to, and a way to them that can be slow, or cut."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stderr=subprocess.DEVNULL)


class Way:
    """A way from callgate to a server: each byte goes through here."""

    def __init__(self, to):
        self.to, self.listener = to, socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.bytes_a_second = None  # how fast answers may come
        self.cut_after = None  # an answer's connection is cut after so many bytes
        self.came = 0  # bytes of answers
        self.cuts = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.to), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, sink, answers):
        passed = 0
        try:
            while data := source.recv(16384 if self.bytes_a_second is None else 1024):
                if answers:
                    if self.bytes_a_second:
                        time.sleep(len(data) / self.bytes_a_second)
                    passed += len(data)
                    self.came += len(data)
                    if self.cut_after is not None and passed > self.cut_after:
                        self.cuts += 1
                        break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


class Server:
    """A server as a process, killed without a word and started again with what it held."""

    name = ""
    environment = {}
    tells = False  # of changes, so that nobody need look

    def __init__(self, tools, folder):
        self.tools, self.folder, self.process = tools, folder, None
        self.port = free_port()
        self.prepare()
        self.start()
        self.way = Way(self.port)

    def prepare(self):
        pass

    def command(self):
        raise NotImplementedError

    def start(self):
        log = open(self.folder / f"{self.name}.log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, f"{self.name} does not start"
                time.sleep(0.05)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def source(self):
        """Where sidecars look, by the way that can be cut."""
        raise NotImplementedError

    def destination(self):
        """Where is published, straight."""
        raise NotImplementedError

    def flags(self):
        return []


class Nginx(Server):
    """A static web server, with TLS."""

    name = "nginx"

    def prepare(self):
        self.root = self.folder / "published"
        self.root.mkdir()
        key, certificate, self.authority = (self.folder / name for name in ("tls.key", "tls.crt", "authority.crt"))
        authority_key, request, extensions = (self.folder / name for name in ("authority.key", "tls.csr", "tls.ext"))
        extensions.write_text("subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *new, "-keyout", authority_key, "-out", self.authority, "-days", "2", "-subj", "/CN=authority")
        openssl("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", authority_key, "-CAcreateserial",
                "-out", certificate, "-days", "2", "-extfile", extensions)
        (self.folder / "nginx.conf").write_text(f"""
daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.error.log; worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2; fastcgi_temp_path {self.folder}/t3;
    uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
    server {{
        listen 127.0.0.1:{self.port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        root {self.root};
    }}
}}
""")

    def command(self):
        return [self.tools / "debian/usr/sbin/nginx", "-p", self.folder, "-c", self.folder / "nginx.conf",
                "-e", self.folder / "nginx.error.log"]

    def source(self):
        return f"https://localhost:{self.way.port}"

    def destination(self):
        return str(self.root)

    def flags(self):
        return ["--source-ca", str(self.authority)]


class S3(Server):
    """moto, which speaks S3 with conditional puts, and holds everything in memory: what it held is carried over."""

    name = "s3"

    def prepare(self):
        self.held = None

    def command(self):
        return [self.tools / "moto/bin/moto_server", "-H", "127.0.0.1", "-p", str(self.port)]

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, 
                           {"Content-Type": "application/octet-stream", "Authorization": "AWS test:test"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def start(self):
        super().start()
        assert self.ask("PUT", "/snapshots")[0] == 200
        for key, body in self.held or []:
            assert self.ask("PUT", f"/snapshots/{key}", body)[0] == 200

    def kill(self):
        _, listed = self.ask("GET", "/snapshots?list-type=2")
        keys = [part.split("</Key>")[0] for part in listed.decode().split("<Key>")[1:]]
        held = [(key, *self.ask("GET", f"/snapshots/{key}")) for key in keys]
        assert all(status == 200 for _, status, _ in held), held
        self.held = [(key, body) for key, _, body in held]
        super().kill()

    def environ(self, port):
        return {"AWS_ENDPOINT": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    @property
    def environment(self):
        return self.environ(self.way.port)

    @property
    def publisher_environment(self):
        return self.environ(self.port)

    def source(self):
        return "s3://snapshots/fleet"

    def destination(self):
        return "s3://snapshots/fleet"


class Nats(Server):
    """NATS with JetStream on disk: it tells of changes."""

    name = "nats"
    tells = True

    def command(self):
        return [self.tools / "debian/usr/sbin/nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js",
                "-sd", self.folder / "jetstream", "--user", "fleet", "--pass", "p@ss/word"]

    def source(self):
        return f"nats://fleet:p%40ss%2Fword@127.0.0.1:{self.way.port}/fleet"

    def destination(self):
        return f"nats://fleet:p%40ss%2Fword@127.0.0.1:{self.port}/fleet"
