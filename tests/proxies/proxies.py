"""Real proxies, each with its file of deploy/, between a client that attacks and an application that records.

    proxies.py CALLGATE TOOLS [NAME...]

The law: whatever reached the application was allowed under the path that the application saw, however it decodes and
folds it, and bears what callgate says of the user. And when callgate is stopped, killed, stuck or overloaded, nothing
reaches it at all."""

import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from surroundings import Application, ask

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "deploy/demo"))
from issuer import Issuer  # noqa: E402

IDENTITY = ["x-callgate-user", "x-callgate-roles", "x-callgate-company"]
# What applications take another path or method from, or for one of the above.
STRAY = {"x-original-url", "x-original-uri", "x-rewrite-url", "x-http-method-override", "x-http-method",
         "x-method-override", "x-forwarded-uri", "x-forwarded-method"}


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
    def __init__(self, program, folder, target):
        self.program, self.folder, self.target, self.port = program, folder, target, free_port()
        self.process = None

    def start(self, *more):
        config = (ROOT / "deploy/callgate.toml").read_text()
        config = config.replace("127.0.0.1:7070", f"127.0.0.1:{self.port}").replace("127.0.0.1:7071", "127.0.0.1:0")
        config = config.replace('target = "original"', f'target = "{self.target}"')
        config = config.replace('"keys.json"', f'"{self.folder / "keys.json"}"')
        config = config.replace('"policies"', f'"{ROOT / "tests/proxies/policies"}"')
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

    def __init__(self, name, file, target, command, folder, callgate, application):
        self.name, self.port, self.folder = name, free_port(), folder
        self.target = target
        text = (ROOT / "deploy" / file).read_text()
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


# === what applications do with a path ===

def decoded(path):
    return re.sub(rb"%([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), path)


def without_dots(path):
    segments = []
    for segment in path.split(b"/"):
        if segment.strip() == b"..":
            segments = segments[:-1] or segments
        elif segment.strip() != b".":
            segments.append(segment)
    return b"/".join(segments)


FOLDS = [
    decoded,
    lambda path: path.replace(b"\\", b"/"),
    lambda path: re.sub(rb"/+", b"/", path),
    without_dots,
    lambda path: re.split(rb"[?#]", path)[0],
    lambda path: re.split(rb"[\0\r\n]", path)[0],
    lambda path: re.sub(rb";[^/]*", b"", path),
    lambda path: path.rstrip(b" .") or b"/",
]


def readings(target):
    """Every path that some application takes the target for."""
    path = target.split(b"?")[0]
    if (found := re.match(rb"[a-z]+://[^/]*(/.*|$)", path)):
        path = found[1] or b"/"
    known, new = {path}, [path]
    while new:
        at = new.pop()
        for fold in FOLDS:
            if (read := fold(at)) not in known and len(known) < 300:
                known.add(read)
                new.append(read)
    return {path.decode("utf-8", "replace") or "/" for path in known}


# === the tests ===

class Test:
    def __init__(self, proxy, callgate, application, tokens):
        self.proxy, self.callgate, self.application, self.tokens = proxy, callgate, application, tokens
        self.counts = {"sent": 0, "reached": 0}

    def send(self, method, target, user=None, headers=(), **more):
        self.application.taken()
        answer = ask(self.proxy.port, method, target, bearer(self.tokens.get(user)) + list(headers), **more)
        reached = self.application.taken()
        self.counts["sent"] += 1
        self.counts["reached"] += len(reached)
        for seen in reached:
            self.law(seen, user)
        if answer.status == 200 and not reached:
            raise AssertionError(f"{self.proxy.name}: {method} {target} was answered 200, and not by the application")
        return answer, reached

    def law(self, seen, user):
        """What reached the application was allowed, under whatever path it takes it for."""
        host = seen.one("host").lower().rstrip(".")
        token = self.tokens.get(user)
        for path in readings(seen.target):
            if re.search("%[0-9a-fA-F]{2}", path):
                continue  # what it is decoded to is another one
            answer = self.callgate.allows(seen.method, host, path, token)
            what = f"{self.proxy.name}: {seen} reached the application, and {path!r} is {answer.status}"
            assert answer.status == 200, what
            for name in IDENTITY:
                told, is_ = seen.one(name), answer.headers.get(name, "")
                assert told == is_, f"{self.proxy.name}: {name} is `{told}` and not `{is_}`: {seen}"
        for name, value in seen.headers:
            alias = re.sub("[_.]", "-", name)
            bad = name in STRAY or (alias != name and (alias in IDENTITY or alias in STRAY))
            assert not bad or value == "", f"{self.proxy.name}: {name} reached the application: {seen}"

    def requests(self):
        """Who may, reaches the application; who may not, does not."""
        for method, target, user, status in [
            ("GET", "/", None, 200), ("GET", "/public/a/b?c=d&e=%2F", None, 200), ("POST", "/public/form", None, 200),
            ("GET", "/me", None, 401), ("GET", "/me/x", "olga", 200), ("GET", "/me", "nobody", 403),
            ("GET", "/admin", None, 401), ("GET", "/admin/x", "olga", 403), ("GET", "/admin/x", "ewa", 200),
            ("GET", "/calls/7", "olga", 200), ("HEAD", "/calls/7", "olga", 200), ("DELETE", "/calls/7", "olga", 403),
            ("DELETE", "/calls/7", "ewa", 200), ("GET", "/calls/7", "piotr", 403), ("PATCH", "/calls/7", "ewa", 403),
            ("GET", "/calls/pawe%C5%82", "olga", 200), ("GET", "/nowhere", "ewa", 403), ("GET", "/public/%61", None, 200),
        ]:
            body = b"a=b" if method == "POST" else b""
            answer, reached = self.send(method, target, user, body=body)
            what = f"{self.proxy.name}: {method} {target} by {user}: {answer.status}, {reached}"
            assert answer.status == status, what
            assert len(reached) == (status == 200), what
            if status == 401:
                assert "bearer" in answer.headers.get("www-authenticate", "").lower(), what
            if reached:
                [seen] = reached
                assert (seen.method, seen.target.decode()) == (method, target), what
                assert seen.body == body, what
                if user and not target.startswith("/public"):
                    assert seen.one("x-callgate-user") == user, what
        # Another's token, a cut one, an old cookie: no user.
        answer, reached = self.send("GET", "/me", headers=["Authorization: Bearer x.y.z"])
        assert (answer.status, reached) == (401, []), answer.status

    def spoofing(self):
        """A client's own claims do not survive."""
        claims = ["X-Callgate-User: ewa", "X-Callgate-Roles: admin", "X-Callgate-Company: other"]
        for user in [None, "olga"]:
            _, reached = self.send("GET", "/public/x", user, claims)
            assert len(reached) == 1, f"{self.proxy.name}: a claim keeps a request from passing"
            self.send("GET", "/public/x", user, claims + claims)
        for name in ["X_Callgate_User", "X.Callgate.User", "x-callgate_user", "X-Callgate-User ", "X-CALLGATE-USER"]:
            self.send("GET", "/public/x", None, [f"{name}: ewa"])
            self.send("GET", "/admin/x", None, [f"{name}: ewa"])
        elsewhere = ["X-Original-URL: http://demo.example/public/x", "X-Original-URI: /public/x", "X-Original-Method: GET",
                     "X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET", "X-Forwarded-Host: demo.example",
                     "X_Original_Url: http://demo.example/public/x", "X_Forwarded_Uri: /public/x",
                     "X.Forwarded.Uri: /public/x", "X-Forwarded-Prefix: /public", "X-Replaced-Path: /public/x",
                     "X-Envoy-Original-Path: /public/x", "X-Original-Host: demo.example"]
        for header in elsewhere:
            answer, reached = self.send("GET", "/admin/x", "olga", [header])
            assert not reached, f"{self.proxy.name}: {header}"
            answer, reached = self.send("DELETE", "/calls/7", "olga", [header])
            assert not reached, f"{self.proxy.name}: {header}"
        for header in ["X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-HTTP-Method: DELETE",
                       "X_HTTP_Method_Override: DELETE", "X-Rewrite-URL: /admin", "X-Original-URL: /admin",
                       "X_Rewrite_URL: /admin"]:
            self.send("GET", "/calls/7", "olga", [header])
            self.send("GET", "/public/x", None, [header])
        for host in ["admin.example", "ADMIN.example", "admin.example.", "Admin.Example:80", "admin.example:8080"]:
            _, reached = self.send("GET", "/public/x", "olga", host=host)
            assert not reached, f"{self.proxy.name}: {host}"
        self.send("GET", "/public/x", None, ["Host: admin.example"])
        self.send("GET", "http://admin.example/public/x", None)
        self.send("GET", "/public/x", None, ["Transfer-Encoding: chunked", "Content-Length: 4"])

    def attacks(self):
        """The table of attacks, as bytes."""
        table = (ROOT / "tests/proxies/targets.yaml").read_text()
        targets = [eval(quoted) for quoted in re.findall(r'target: ("(?:[^"\\]|\\.)*")', table)]  # the table's own strings
        assert len(targets) > 80, len(targets)
        for target in targets:
            for user in [None, "olga", "ewa"]:
                self.send("GET", target, user)
            if target.startswith("/"):
                # The same before something that is open, and behind it.
                self.send("GET", "/public" + target, None)
                self.send("GET", "/public/.." + target, None)
        pieces = ["/", "admin", "public", "..", ".", "%2e", "%2f", "%5c", "\\", "%252e", "%252f", ";", "%3b", "#", "%23",
                  "?", "%00", "%61", "%", "//", "calls/7", "@", ":"]
        choose = random.Random(7)
        for _ in range(int(os.environ.get("CALLGATE_ATTACKS", "300"))):
            target = "/" + "".join(choose.choice(pieces) for _ in range(choose.randint(1, 6)))
            self.send(choose.choice(["GET", "GET", "DELETE"]), target, choose.choice([None, "olga"]))

    def trouble(self):
        """callgate does not answer, or too late, or has no time: nothing passes."""
        def denied(what):
            started = time.monotonic()
            for target, user in [("/public/x", None), ("/admin/x", "ewa")]:
                answer, reached = self.send_without_law("GET", target, user)
                if "TIMES" in os.environ:
                    print(f"  {what}: {answer.status}")
                assert answer.status >= 400 and not reached, f"{self.proxy.name}: {what}: {answer.status}, {reached}"
            assert time.monotonic() - started < 15, f"{self.proxy.name}: {what} takes too long"

        def passes():
            answer, reached = self.send_without_law("GET", "/public/x", None)
            return answer.status == 200 and len(reached) == 1

        self.callgate.process.send_signal(signal.SIGSTOP)
        until("every thread stands still", self.callgate.stands_still)
        denied("stuck")
        self.callgate.process.send_signal(signal.SIGCONT)
        until("it passes again", passes)
        for how in [signal.SIGTERM, signal.SIGKILL]:
            self.callgate.stop(how)
            denied(f"stopped by {how.name}")
            self.callgate.start()
            until("it passes again", passes)
        self.callgate.stop()
        self.callgate.start("--max-connections", "4")
        with_places = [socket.create_connection(("127.0.0.1", self.callgate.port)) for _ in range(4)]
        time.sleep(0.1)
        denied("overloaded")
        for connection in with_places:
            connection.close()
        self.callgate.stop()
        self.callgate.start()
        until("it passes again", passes)

    def send_without_law(self, method, target, user):
        self.application.taken()
        answer = ask(self.proxy.port, method, target, bearer(self.tokens.get(user)))
        return answer, self.application.taken()


def demo(program, nginx):
    """The demo starts by its one command, and knows its users."""
    ports = {name: free_port() for name in ["SITE_PORT", "APPLICATION_PORT", "CALLGATE_PORT"]}
    environment = dict(os.environ, CALLGATE=program, NGINX_PROGRAM=str(nginx), **{name: str(port) for name, port in ports.items()})
    process = subprocess.Popen([ROOT / "deploy/demo/run"], env=environment, stdout=subprocess.DEVNULL)
    site = ports["SITE_PORT"]
    try:
        until("the demo listens", lambda: listens(site))
        status = lambda target, cookie="": ask(site, "GET", target, [f"Cookie: {cookie}"] if cookie else []).status
        until("the demo answers", lambda: status("/") == 200)
        form = ["Content-Type: application/x-www-form-urlencoded"]
        login = lambda user: ask(site, "POST", "/login", form, f"user={user}".encode()).headers["set-cookie"].split(";")[0]
        olga, ewa = login("olga"), login("ewa")
        for target, cookie, expected in [
            ("/me", "", 401), ("/me", olga, 200), ("/calls", olga, 200), ("/queues/bank-in", olga, 403),
            ("/queues/bank-in", ewa, 200), ("/finance/report", ewa, 403), ("/me", "session=x", 401),
        ]:
            assert (found := status(target, cookie)) == expected, f"demo: {target} with {cookie[:20]}: {found}"
        assert b"<b>olga</b>" in ask(site, "GET", "/me", [f"Cookie: {olga}"]).body
    finally:
        process.terminate()
        process.wait(10)
    print("demo: as it should")


def main():
    program, tools, *names = sys.argv[1:]
    program, tools = os.path.abspath(program), pathlib.Path(tools).resolve()
    debian = tools / "debian"
    envoy = [tools / "envoy/bin/envoy", "-c", "FILE", "--log-level", "error", "--concurrency", "1", "--disable-hot-restart"]
    proxies = {
        "nginx": ("nginx/nginx.conf", "original", [debian / "usr/sbin/nginx", "-c", "FILE", "-p", ".", "-e", "stderr", "-g", "daemon off;"]),
        "caddy": ("caddy/Caddyfile", "forwarded", [debian / "usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", "FILE"]),
        "haproxy": ("haproxy/haproxy.cfg", "original", [debian / "usr/sbin/haproxy", "-db", "-f", "FILE"]),
        "envoy": ("envoy/http.yaml", "original", envoy),
        "envoy-grpc": ("envoy/grpc.yaml", "original", envoy),
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        issuer, application = Issuer(folder), Application()
        tokens = {user: issuer.token(user) for user in ["ewa", "olga", "piotr", "nobody"]}
        for name in names or [*proxies, "demo"]:
            if name == "demo":
                demo(program, debian / "usr/sbin/nginx")
                continue
            file, target, command = proxies[name]
            started = time.monotonic()
            callgate = Callgate(program, folder, target)
            callgate.start()
            proxy = None
            try:
                proxy = Proxy(name, file, target, command, folder, callgate, application)
                test = Test(proxy, callgate, application, tokens)
                for part in [test.requests, test.spoofing, test.attacks, test.trouble]:
                    part()
                    if "TIMES" in os.environ:
                        print(f"  {part.__name__}: {time.monotonic() - started:.1f} s")
            finally:
                if proxy:
                    proxy.stop()
                callgate.stop(signal.SIGKILL)
            seconds = time.monotonic() - started
            print(f"{name}: {test.counts['sent']} requests, {test.counts['reached']} reached the application, all allowed; {seconds:.0f} s")


main()
