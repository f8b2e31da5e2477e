"""The site of the demo: pages that say who asks, as far as callgate tells. It decides nothing.

    site.py FOLDER PORT"""

import html
import http.cookies
import http.server
import pathlib
import sys
import urllib.parse

from issuer import Issuer

USERS = ["olga", "anna", "ewa", "marek"]
PAGES = ["/", "/me", "/workplace", "/calls", "/queues/bank-in", "/users", "/finance/report", "/settings/general"]


class Page(http.server.BaseHTTPRequestHandler):
    issuer = None
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        user, roles = (self.headers.get(f"X-Callgate-{what}", "") for what in ["User", "Roles"])
        who = f"You are <b>{html.escape(user)}</b>: {html.escape(roles)}." if user else "Nobody is logged in."
        links = " ".join(f'<a href="{page}">{page}</a>' for page in PAGES)
        users = " ".join(f'<button name="user" value="{user}">{user}</button>' for user in USERS)
        self.answer(200, f"""<!doctype html><title>Demo</title><h1>{html.escape(self.path)}</h1><p>{who}</p><p>{links}</p>
<form method="post" action="/login">Log in as {users} <button name="user" value="">nobody</button></form>
<p>nginx asks callgate before each page; policies/companies/demo/routes.yaml says which check it is.</p>""")

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        if self.path != "/login":
            return self.answer(200, "<!doctype html><p>Done.")
        user = form.get("user", [""])[0]
        cookie = http.cookies.SimpleCookie({"session": self.issuer.token(user) if user else ""})
        cookie["session"].update({"path": "/", "httponly": True, "samesite": "Lax"})
        self.answer(303, "", [("Location", "/"), ("Set-Cookie", cookie["session"].OutputString())])

    do_HEAD = do_GET
    do_PUT = do_DELETE = do_PATCH = do_POST

    def answer(self, status, page, headers=()):
        body = page.encode()
        self.send_response(status)
        for name, value in [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", len(body)), *headers]:
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    folder, port = sys.argv[1:]
    Page.issuer = Issuer(pathlib.Path(folder))
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Page).serve_forever()


main()
