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

import http2
from certificates import certificates
from servers import ROOT, SPEAK_HTTP2, Callgate, Proxy, bearer, free_port, listens, until
from surroundings import Application, ask

sys.path.append(str(ROOT / "deploy/demo"))
from issuer import Issuer  # noqa: E402

IDENTITY = ["x-callgate-user", "x-callgate-roles", "x-callgate-company"]
# What applications take another path or method from, or for one of the above.
STRAY = {"x-original-url", "x-original-uri", "x-rewrite-url", "x-http-method-override", "x-http-method",
         "x-method-override", "x-forwarded-uri", "x-forwarded-method", "x-script-name", "script-name", "path-info"}
# Who passes on what stands behind a body, and has no setting against it (docs/proxies.md, what remains).
PASS_TRAILERS = {"haproxy"}
# What they tell their clients while callgate does not answer (docs/proxies.md, proxies).
NO_ANSWER = {"nginx": [500], "caddy": [502, 503, 504], "haproxy": [403], "envoy": [403], "envoy-grpc": [403]}


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
    lambda path: b"/".join(segment.strip() for segment in path.split(b"/")),
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
    def __init__(self, proxy, callgate, application, tokens, ask=ask):
        self.proxy, self.callgate, self.application, self.tokens = proxy, callgate, application, tokens
        self.ask, self.users = ask, {}
        self.counts = {"sent": 0, "reached": 0}

    def send(self, method, target, user=None, headers=(), **more):
        headers = bearer(self.tokens.get(user)) + list(headers)
        return self.sent(f"{method} {target}", user, lambda: self.ask(self.proxy.port, method, target, headers, **more))

    def sent(self, what, user, send):
        """Sends it, and holds what reached the application to the law; `user` is who may be believed to have sent it."""
        self.application.taken()
        began = time.monotonic()
        answer = send()
        if "TIMES" in os.environ and (took := time.monotonic() - began) > 1:
            print(f"  {took:.1f} s for {what[:100]}: {answer.status}")
        reached = self.application.taken()
        self.counts["sent"] += 1
        self.counts["reached"] += len(reached)
        for seen in reached:
            self.law(seen, user)
        # `OPTIONS *` some servers answer themselves; to a call of gRPC Envoy's deny has status 200 and says so behind.
        own = "OPTIONS" in what or answer.headers.get("grpc-status", "0") != "0"
        if answer.status == 200 and not reached and not own:
            raise AssertionError(f"{self.proxy.name}: {what} was answered 200, and not by the application")
        return answer, reached

    def law(self, seen, user):
        """What reached the application was allowed, under whatever path it takes it for."""
        host = seen.one("host").lower().rstrip(".")
        token = self.tokens.get(self.users.get(seen.one("x-number"), user))
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
            alias = re.sub("[^a-z0-9]", "-", name)
            bad = name in STRAY or (alias != name and (alias in IDENTITY or alias in STRAY))
            assert not bad or value == "", f"{self.proxy.name}: {name} reached the application: {seen}"
        for name, value in seen.trailers:
            bad = re.sub("[^a-z0-9]", "-", name) in {*IDENTITY, *STRAY}
            assert not bad or self.proxy.name in PASS_TRAILERS, f"{self.proxy.name}: {name} reached the application behind the body: {seen}"
        # Nor is the application told another host, or asked to speak otherwise than by requests.
        for told in [seen.one("x-forwarded-host"), *re.findall(r'host="?([^;,"]*)', seen.one("forwarded").lower())]:
            assert told.lower().split(":")[0].rstrip(".") in ["", host.split(":")[0]], f"{self.proxy.name}: {seen}"
        assert "h2c" not in seen.one("upgrade").lower(), f"{self.proxy.name}: {seen}"

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
        for header in ["X-Forwarded-Host: admin.example", "Forwarded: host=admin.example", "Forwarded: for=1.2.3.4;host=\"admin.example\"",
                       "X-Forwarded-Host: demo.example, admin.example", "X_Forwarded_Host: admin.example",
                       "SCRIPT_NAME: /public", "PATH_INFO: /admin/x", "Script-Name: /public", "X-Script-Name: /public"]:
            self.send("GET", "/public/x", None, [header])
            self.send("GET", "/public/admin/x", None, [header])
            self.send("GET", "/me", "olga", [header])
        # A call of gRPC to the application is a request as any other.
        for kind in ["application/grpc", "application/grpc+proto", "application/grpc-web"]:
            for user in [None, "olga"]:
                _, reached = self.send("POST", "/admin/x", user, [f"Content-Type: {kind}", "TE: trailers"], body=b"\0\0\0\0\0")
                assert not reached, f"{self.proxy.name}: {kind} by {user}"
        token = self.tokens["ewa"]
        for target in [f"/me?access_token={token}", f"/me?token={token}", f"/me?Authorization=Bearer%20{token}"]:
            answer, reached = self.send("GET", target, None)
            assert (answer.status, reached) == (401, []), f"{self.proxy.name}: a token in the query: {answer.status}"
        for long in [4_000, 16_000, 40_000, 70_000]:
            self.send("GET", "/public/" + "a" * long, None)
            self.send("GET", "/admin/" + "a" * long, "olga")
            self.send("GET", "/public/x?" + "a" * long, None)
            self.send("GET", "/" + "../" * (long // 3) + "admin/x", "olga")
        self.send("GET", "/public/x", None, ["Host: admin.example"])
        self.send("GET", "http://admin.example/public/x", None)
        self.send("GET", "/public/x", None, ["Transfer-Encoding: chunked", "Content-Length: 4"], patience=2)

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
                # And where what is closed lies in what is open.
                self.send("GET", "/files" + target, None)
        pieces = ["/", "admin", "public", "files/admin", "..", ".", "%2e", "%2f", "%5c", "\\", "%252e", "%252f", ";", "%3b", "#", "%23",
                  "?", "%00", "%61", "%", "//", "calls/7", "@", ":", "%20", "%09"]
        choose = random.Random(7)
        for _ in range(int(os.environ.get("CALLGATE_ATTACKS", "300"))):
            target = "/" + "".join(choose.choice(pieces) for _ in range(choose.randint(1, 6)))
            self.send(choose.choice(["GET", "GET", "DELETE"]), target, choose.choice([None, "olga"]))

    def by_http1(self):
        """What HTTP/2 has no form for: lines, lengths, upgrades, and connections that name headers."""
        olga, ewa = bearer(self.tokens["olga"]), bearer(self.tokens["ewa"])
        for header in [
            "X-A: b\r\n X-Callgate-User: ewa", "X-A: b\nX-Callgate-User: ewa", "X-A: b\rX-Callgate-User: ewa",
            "X-Callgate-User\r\n: ewa", "X-A: b\0", "\0: b", ": ewa", "X-Callgate-User", "X-Callgate-User : ewa",
            "X-A: b\r\n\tX-Callgate-User: ewa", "X-A: \x80\xff", "X-A: b\r\n\r\nGET /admin/x HTTP/1.1\r\nHost: demo.example",
        ]:
            for target, user in [("/public/x", None), ("/me", "olga"), ("/admin/x", "olga")]:
                self.send("GET", target, user, [header])
        names = ["X-Callgate-User, X-Callgate-Roles, X-Callgate-Company", "Authorization, Cookie", "Host, Content-Length",
                 "X-Original-URL, X-Original-URI, X-Original-Method, X-Original-Host",
                 "X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-Host, X-Forwarded-Proto", "close, X-Callgate-User", "TE, Upgrade"]
        for named in names:
            for target, user in [("/public/x", None), ("/me", "olga"), ("/admin/x", "olga")]:
                self.send("GET", target, user, [f"Connection: {named}", "X-Callgate-User: ewa"])
        for header in ["Upgrade: h2c", "Upgrade: h2c, websocket", "Upgrade: websocket", "Upgrade: H2C",
                       "Upgrade: h2c\r\nUpgrade: websocket"]:
            for connection in ["Upgrade, HTTP2-Settings", "Upgrade", "close"]:
                headers = [header, f"Connection: {connection}", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
                self.send("GET", "/public/x", None, headers)
                _, reached = self.send("GET", "/admin/x", "olga", headers)
                assert not reached, f"{self.proxy.name}: {header}"
        smuggled = http2.SMUGGLED
        for headers in [
            ["Transfer-Encoding: chunked", f"Content-Length: {len(smuggled)}"], ["Transfer-Encoding: xchunked"],
            ["Transfer-Encoding: chunked, identity"], ["Transfer-Encoding : chunked"], ["Transfer-Encoding: chunked", "Transfer-Encoding: x"],
            ["Transfer-Encoding:\x0bchunked"], ["Transfer_Encoding: chunked"], ["Content-Length: 0"], ["Content-Length: +5"],
            ["Content-Length: 5, 5"], ["Content-Length : 0"], ["Content_Length: 0"], ["Expect: 100-continue"],
        ]:
            for length in [True, False]:  # with its true length beside, and without
                self.send("POST", "/public/x", None, headers, body=b"0\r\n\r\n" + smuggled, length=length, patience=2)
        chunked = b"3\r\na=b\r\n0\r\n"
        for trailer in [b"X-Callgate-User: ewa", b"X-Original-URL: /admin/x", b"Host: admin.example", b"X-A: b"]:
            for user in [None, "olga"]:
                body = chunked + trailer + b"\r\n\r\n"
                self.send("POST", "/public/x", user, ["Transfer-Encoding: chunked", "Trailer: X-Callgate-User"], body=body, length=False)
        for method in ["CONNECT", "TRACE", "OPTIONS", "PRI", "get", "Get", "GET\tDELETE", "DELETE\0", "X" * 5000, "\"GET\"", ""]:
            for target in ["/calls/7", "*", "demo.example:443", "/public/x", "/admin/x"]:
                self.send(method, target, "olga")
        for host in ["", " ", "demo.example@admin.example", "demo.example, admin.example", "demo.example admin.example", "[::1]",
                     "demo.example:80:80", "demo.example/admin", "demo.example#", "demo.example\0", "xn--dmo-bna.example", "*"]:
            self.send("GET", "/public/x", None, host=host)
        for more in [["Host: demo.example"], ["Host: admin.example"], ["host:admin.example"], ["Host : admin.example"]]:
            self.send("GET", "/public/x", None, more)
        for both in [olga + ewa, ewa + olga, [f"Cookie: session={self.tokens['olga']}; session={self.tokens['ewa']}"],
                     [f"Cookie: session={self.tokens['olga']}", f"Cookie: session={self.tokens['ewa']}"]]:
            answer, reached = self.send("GET", "/me", None, both)
            assert not reached, f"{self.proxy.name}: two tokens: {answer.status}"

    def by_http2(self):
        """What HTTP/1.1 cannot say."""
        def send(fields, body=b"", trailers=(), user=None):
            # A proxy may give up a request that has reached the application, or is still on its way: so each is numbered.
            number = str(self.counts["sent"])
            self.users[number] = user
            what = f"{fields} {body} {trailers}"
            numbered = [*fields, ("x-number", number)]
            answer, reached = self.sent(what, user, lambda: http2.send(self.proxy.port, numbered, body, trailers))
            return answer, [seen for seen in reached if seen.one("x-number") in ["", number]]

        olga, ewa = self.tokens["olga"], self.tokens["ewa"]
        public = http2.pseudo("GET", "/public/x", "demo.example")
        for fields in http2.PSEUDO:
            send(fields)
            send([*fields, ("authorization", f"Bearer {olga}")], user="olga")
        for fields in http2.FIELDS:
            for user in [None, "olga"]:
                own = [("authorization", f"Bearer {self.tokens[user]}")] if user else []
                send([*public, *own, *fields], user=user)
                send([*public, *fields, *own], user=user)
                _, reached = send([*http2.pseudo("GET", "/admin/x", "demo.example"), *own, *fields], user=user)
                assert not reached, f"{self.proxy.name}: {fields}"
        for length in http2.LENGTHS:
            fields = [*http2.pseudo("POST", "/public/x", "demo.example"), ("content-length", length)]
            send(fields, http2.SMUGGLED)
            send([*fields, ("content-length", str(len(http2.SMUGGLED)))], http2.SMUGGLED)
        for trailers in http2.TRAILERS:
            send(http2.pseudo("POST", "/public/x", "demo.example"), b"a=b", trailers)
            send([*http2.pseudo("POST", "/me", "demo.example"), ("authorization", f"Bearer {olga}")], b"a=b", trailers, user="olga")
        # One user, in as many pieces as a client likes; two are nobody, wherever they stand.
        me = http2.pseudo("GET", "/me", "demo.example")
        answer, reached = send([*me, ("cookie", "a=b"), ("cookie", f"session={olga}"), ("cookie", "c=d")], user="olga")
        assert (answer.status, len(reached)) == (200, 1), f"{self.proxy.name}: a cookie in pieces: {answer.status}"
        for both in [
            [("cookie", f"session={olga}"), ("cookie", f"session={ewa}")], [("cookie", f"session={olga}; session={ewa}")],
            [("authorization", f"Bearer {olga}"), ("authorization", f"Bearer {ewa}")],
            [("authorization", f"Bearer {olga}"), ("Authorization", f"Bearer {ewa}")],
            [("authorization", f"Bearer {olga}"), ("cookie", f"session={ewa}")],
        ]:
            for fields in [both, both[::-1]]:
                answer, reached = send([*me, *fields])
                assert not reached, f"{self.proxy.name}: {[name for name, _ in fields]}: {answer.status}"

    def trouble(self):
        """callgate does not answer, or too late, or has no time: nothing passes."""
        def denied(what):
            started = time.monotonic()
            for target, user in [("/public/x", None), ("/admin/x", "ewa")]:
                answer, reached = self.send_without_law("GET", target, user)
                if "TIMES" in os.environ:
                    print(f"  {what}: {answer.status}")
                said = NO_ANSWER[self.proxy.name]
                assert answer.status in said and not reached, f"{self.proxy.name}: {what}: {answer.status}, {reached}"
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
        for name in names or [*proxies, "certificates", "demo"]:
            if name == "certificates":
                certificates(program, envoy, folder, application)
                continue
            if name == "demo":
                demo(program, debian / "usr/sbin/nginx")
                continue
            file, target, command = proxies[name]
            for version in ["HTTP/1.1", "HTTP/2"]:
                started = time.monotonic()
                callgate = Callgate(program, folder, target)
                callgate.start()
                proxy = None
                try:
                    if version == "HTTP/2":
                        proxy = Proxy(name, file, target, command, folder, callgate, application, SPEAK_HTTP2[name])
                        test = Test(proxy, callgate, application, tokens, http2.ask)
                        parts = [test.requests, test.spoofing, test.attacks, test.by_http2]
                    else:
                        proxy = Proxy(name, file, target, command, folder, callgate, application)
                        test = Test(proxy, callgate, application, tokens)
                        parts = [test.requests, test.spoofing, test.attacks, test.by_http1, test.trouble]
                    for part in parts:
                        part()
                        if "TIMES" in os.environ:
                            print(f"  {part.__name__}: {time.monotonic() - started:.1f} s")
                finally:
                    if proxy:
                        proxy.stop()
                    callgate.stop(signal.SIGKILL)
                seconds = time.monotonic() - started
                print(f"{name}, {version}: {test.counts['sent']} requests, {test.counts['reached']} reached the application, "
                      f"all allowed; {seconds:.0f} s")


main()
