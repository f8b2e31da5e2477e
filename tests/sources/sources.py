"""Two sidecars and one publisher over real servers, which are killed, slowed and cut off while checks run.

No answer may be wrong, none may fail, and none may go back from a newer snapshot to an older one; after each bad day
the sidecars must end in what was published last, within seconds.
"""

import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from servers import Nats, Nginx, S3

USERS = 1500
BACK = 12.0  # seconds within which a sidecar has what was published last
CHECK = json.dumps({"subject": {"type": "user", "id": "olga"}, "action": {"name": "listen"},
                    "resource": {"type": "call", "id": "c1"}})


class Tree:
    """A policy tree in which olga may listen, or not, with as many users as make a body worth cutting."""

    def __init__(self, folder):
        self.folder, self.listens = folder, False
        self.write("packs/desk/catalogue.yaml", "catalogue: desk\nresources:\n  call:\n    actions: { view: {}, listen: {} }\n")
        self.write("packs/desk/roles.yaml", "roles:\n  - role: operator\n    grants: { call: { view: any } }\n"
                                             "  - role: listener\n    grants: { call: { listen: any } }\n")
        self.write("companies/acme/company.yaml", "company: acme\npack: desk\n")
        self.change(False)

    def write(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, listens, salt=""):
        self.listens = listens
        rows = [f"user-{salt}{number:05},operator" for number in range(USERS)]
        rows.append("olga," + ("listener" if listens else "operator"))
        self.write("companies/acme/users.csv", "user,roles\n" + "\n".join(rows) + "\n")


class Sidecar:
    """callgate serve, and somebody who asks it all the time."""

    def __init__(self, callgate, source, flags, environment, poll="300ms"):
        self.began = time.monotonic()
        command = [callgate, "serve", source, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1",
                   "--poll-interval", poll, "--log-level", "off", "--max-loss", "1"] + flags
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        watchdog = threading.Timer(30, self.process.kill)
        watchdog.start()
        line = lambda: self.process.stdout.readline().strip()
        self.address = line().removeprefix("listening on http://")
        self.admin = line().removeprefix("admin on http://")
        self.ready = line()
        watchdog.cancel()
        self.ready_after = time.monotonic() - self.began
        self.asked, self.wrong, self.stop = 0, [], False
        self.expected = None  # while set, the one answer there may be
        threading.Thread(target=self.ask_on, daemon=True).start()

    def ask_on(self):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        while not self.stop:
            expected = self.expected
            try:
                connection.request("POST", "/acme/access/v1/evaluation", CHECK, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                if not self.stop:
                    self.wrong.append(repr(error))
                return
            self.asked += 1
            right = ['{"decision":true}', '{"decision":false}']
            if expected is not None and expected == self.expected:
                right = [right[0 if expected else 1]]
            if answer.status != 200 or body not in right:
                self.wrong.append(f"{answer.status} {body}, right is {right}")
            time.sleep(0.002)

    def told(self):
        connection = http.client.HTTPConnection(self.admin, timeout=10)
        connection.request("GET", "/v1/snapshots")
        companies = json.loads(connection.getresponse().read())["companies"]
        return companies[0] if companies else {}

    def end(self):
        self.stop = True
        time.sleep(0.05)
        self.process.kill()
        self.process.wait()


class Day:
    def __init__(self, callgate, tools, kind):
        self.callgate, self.folder = callgate, pathlib.Path(tempfile.mkdtemp(prefix="callgate-sources-"))
        self.folder.chmod(0o755)  # the web server's worker is somebody else
        self.tree = Tree(self.folder / "tree")
        self.server = kind(tools, self.folder)
        self.generation = 0
        self.run("keygen", "-o", self.folder / "key")
        self.flags = self.server.flags() + ["--trust-key", str(self.folder / "key.pub")]
        self.sidecars = []

    def environment(self, more):
        return {"PATH": os.environ["PATH"], **more}

    def run(self, *arguments):
        more = getattr(self.server, "publisher_environment", {})
        done = subprocess.run([self.callgate, *map(str, arguments)], capture_output=True, text=True,
                              env=self.environment(more))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self):
        told = self.run("publish", self.tree.folder, self.server.destination(), "--key", self.folder / "key",
                        "--format", "json")
        told = json.loads(told)["companies"][0]
        assert told["generation"] == self.generation + 1, told
        self.generation += 1
        return told

    def sidecar(self, number, **more):
        flags = self.flags + ["--cache", str(self.folder / f"cache-{number}")]
        return Sidecar(self.callgate, self.server.source(), flags, self.environment(self.server.environment), **more)

    def arrive(self, what, within=BACK):
        """Both have what was published last, and answer so; from now on nothing else is right."""
        began = time.monotonic()
        for sidecar in self.sidecars:
            while sidecar.told().get("generation") != self.generation:
                took = time.monotonic() - began
                assert took < within, f"{what}: not there after {took:.1f} s: {sidecar.told()}"
                time.sleep(0.02)
            sidecar.expected = self.tree.listens
        revisions = {sidecar.told()["revision"] for sidecar in self.sidecars}
        assert len(revisions) == 1, revisions
        print(f"    {what}: {time.monotonic() - began:.2f} s", flush=True)

    def change(self, salt=""):
        """What is published next; until it arrives both answers are right."""
        for sidecar in self.sidecars:
            sidecar.expected = None
        self.tree.change(not self.tree.listens, salt)
        return self.publish()

    def live(self):
        server, way = self.server, self.server.way
        self.publish()
        self.sidecars = [self.sidecar(0), self.sidecar(1)]
        self.arrive("the first generation")

        came = way.came
        told = self.change()
        self.arrive("a changed user")
        print(f"    {way.came - came} bytes for two, of a body of {told['body_bytes']}", flush=True)
        assert told["delta_bytes"] < told["body_bytes"] / 10, told

        server.kill()
        time.sleep(3)
        ages = [sidecar.told()["age_seconds"] for sidecar in self.sidecars]
        assert min(ages) > 1.5, ages
        server.start()
        self.change()
        self.arrive("killed and started again")

        way.bytes_a_second = 40_000
        self.change("slow")
        self.arrive("slow", 60)
        way.bytes_a_second = None

        # Every connection is cut in the middle of what it brings; names of another length make all of it new.
        server.kill()
        server.start()  # no connection is left that was made before
        way.cut_after = 9_000
        cuts = way.cuts
        self.change("another-name-")
        deadline = time.monotonic() + 20
        while way.cuts < cuts + 4:
            assert time.monotonic() < deadline, "nothing was cut"
            time.sleep(0.05)
        way.cut_after = None
        self.arrive("cut off in the middle")

        # A start while the server is gone: what ran last, at once.
        server.kill()
        self.sidecars[1].end()
        assert not self.sidecars[1].wrong, self.sidecars[1].wrong[:3]
        self.sidecars[1] = again = self.sidecar(1)
        assert again.ready == "ready: acme", again.ready
        assert again.told()["generation"] == self.generation, again.told()
        again.expected = self.tree.listens
        print(f"    a start without the server: ready after {again.ready_after:.2f} s", flush=True)
        assert again.ready_after < 3.0  # a second, were the machine its own
        time.sleep(1)
        server.start()
        self.change()
        self.arrive("and all is well")

        if server.tells:
            self.told()

        for sidecar in self.sidecars:
            assert sidecar.asked > 100 and not sidecar.wrong, (sidecar.asked, sidecar.wrong[:3])
        print(f"    {sum(sidecar.asked for sidecar in self.sidecars)} checks, none wrong", flush=True)

    def told(self):
        """A third one hardly ever looks by itself: what it has it was told of, after the server was gone as well."""
        self.sidecars.append(self.sidecar(2, poll="1h"))
        time.sleep(1)  # the watch holds
        self.change()
        self.arrive("told of a change", 3)
        self.server.kill()
        time.sleep(2)
        self.server.start()
        self.change()
        self.arrive("told of a change while it was not heard", 2 * BACK)
        self.change()
        self.arrive("told again", 3)

    def end(self):
        for sidecar in self.sidecars:
            sidecar.end()
        try:
            self.server.kill()
        except (OSError, http.client.HTTPException):
            pass


def main():
    callgate, tools, *names = sys.argv[1:]
    tools, failed = pathlib.Path(tools).resolve(), []
    for kind in (Nginx, S3, Nats):
        if names and kind.name not in names:
            continue
        print(f"  {kind.name}", flush=True)
        day = Day(callgate, tools, kind)
        try:
            day.live()
        except AssertionError as error:
            print(f"    FAILED: {error} (see {day.folder})", flush=True)
            failed.append(kind.name)
        finally:
            day.end()
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


main()
