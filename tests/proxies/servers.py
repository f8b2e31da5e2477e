"""callgate and the proxies before it, as processes, each with its file of deploy/ on ports of its own."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse

from surroundings import ask

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What a proxy needs to speak HTTP/2 without TLS where its file does not let it: what it does with a request is the same.
# Envoy does, and is only to be quick about closing a connection that has broken the protocol; that it may ask callgate
# over HTTP/2, too, is tried at the same time.
AT_ONCE = ("stat_prefix: site\n", "stat_prefix: site\n                delayed_close_timeout: 0.02s\n")
ASK_BY_HTTP2 = ("""    - name: callgate
      connect_timeout: 1s
""", """    - name: callgate
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
""")
SPEAK_HTTP2 = {
    "nginx": [("listen 127.0.0.1:8080;", "listen 127.0.0.1:8080 http2;")],
    "caddy": [("auto_https off\n", "auto_https off\n\tservers {\n\t\tprotocols h1 h2c\n\t}\n")],
    "haproxy": [],
    "envoy": [AT_ONCE, ASK_BY_HTTP2],
    "envoy-grpc": [AT_ONCE],
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(what, holds, seconds=15):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about")
        time.sleep(0.02)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Callgate:
    def __init__(self, program, folder, target, changes=()):
        self.program, self.folder, self.target, self.port = program, folder, target, free_port()
        self.changes = changes
        self.process = None

    def start(self, *more):
        config = (ROOT / "deploy/callgate.toml").read_text()
        config = config.replace("127.0.0.1:7070", f"127.0.0.1:{self.port}").replace("127.0.0.1:7071", "127.0.0.1:0")
        config = config.replace('target = "original"', f'target = "{self.target}"')
        config = config.replace('"keys.json"', f'"{self.folder / "keys.json"}"')
        config = config.replace('"policies"', f'"{ROOT / "tests/proxies/policies"}"')
        for old, new in self.changes:
            config = re.sub(old, new, config, flags=re.MULTILINE)
        file = self.folder / f"callgate-{self.target}.toml"
        file.write_text(config)
        run = [self.program, "serve", "--config", str(file), "--log-level", "error", *more]
        self.process = subprocess.Popen(run, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("ready"):
                return
        raise AssertionError("callgate is not ready")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()
        self.process.stdout.close()

    def stands_still(self):
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)

    def allows(self, method, host, path, token):
        """What it says of this path, asked directly."""
        url = f"http://{host}{urllib.parse.quote(path)}"
        if self.target == "original":
            told = [f"X-Original-Method: {method}", f"X-Original-URL: {url}"]
        else:
            uri = url.removeprefix(f"http://{host}")
            told = [f"X-Forwarded-Method: {method}", f"X-Forwarded-Uri: {uri}", f"X-Forwarded-Host: {host}"]
        answer = ask(self.port, "GET", "/demo/proxy/auth", told + bearer(token))
        return answer


def bearer(token):
    return [f"Authorization: Bearer {token}"] if token else []


class Proxy:
    """A proxy with its file of deploy/, on ports of its own."""

    def __init__(self, name, file, target, command, folder, callgate, application, changes=()):
        self.name, self.port, self.folder = name, free_port(), folder
        self.target = target
        text = (ROOT / "deploy" / file).read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        ports = [("127.0.0.1:7070", f"127.0.0.1:{callgate.port}"), ("127.0.0.1:8000", f"127.0.0.1:{application.port}"),
                 ("127.0.0.1:8080", f"127.0.0.1:{self.port}"), (":8080", f":{self.port}"),
                 ("port_value: 8080", f"port_value: {self.port}"), ("port_value: 7070", f"port_value: {callgate.port}"),
                 ("port_value: 8000", f"port_value: {application.port}"), ("/tmp/callgate-nginx", f"{folder}/nginx"),
                 ("deploy/haproxy", str(ROOT / "deploy/haproxy"))]
        for old, new in ports:
            text = text.replace(old, new)
        path = folder / f"{name}-{pathlib.Path(file).name}"
        path.write_text(text)
        command = [str(part).replace("FILE", str(path)) for part in command]
        environment = dict(os.environ, XDG_DATA_HOME=str(folder), XDG_CONFIG_HOME=str(folder))
        environment.update(CALLGATE=f"127.0.0.1:{callgate.port}")
        self.log = open(folder / f"{name}.log", "w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment, cwd=folder)
        try:
            until(f"{name} listens", lambda: self.process.poll() is None and listens(self.port))
        except AssertionError:
            self.log.seek(0)
            raise AssertionError(f"{name} does not start:\n{self.log.read()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
