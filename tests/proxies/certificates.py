"""Users who are known by the certificates that they show to Envoy, as docs/identity.md sets it up."""

import signal
import ssl
import subprocess
import urllib.parse

from servers import Callgate, Proxy
from surroundings import ask

# Users by the common names of their certificates.
KNOWN = [(r"^identity = .*$", 'identity = { certificate = { field = "subject-cn" } }')]
LISTEN = """        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_certificates:
                  - { certificate_chain: { filename: FOLDER/server.pem }, private_key: { filename: FOLDER/server.key } }
                validation_context: { trusted_ca: { filename: FOLDER/clients.pem } }
          filters:
"""
# What Envoy passes on: in a header, or beside the headers.
PASS_ON = {
    "envoy/http.yaml": ("stat_prefix: site\n", """stat_prefix: site
                forward_client_cert_details: SANITIZE_SET
                set_current_client_cert_details: { cert: true }
"""),
    "envoy/grpc.yaml": ("encode_raw_headers: true", "encode_raw_headers: true\n                      include_peer_certificate: true"),
}


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def authority(folder, name):
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]
    openssl("req", "-x509", *new, "-subj", f"/CN={name}", "-days", "1", "-out", pem)


def certificate(folder, name, common, by):
    key, pem, request, names = (folder / f"{name}.{what}" for what in ["key", "pem", "csr", "names"])
    names.write_text("subjectAltName=DNS:localhost")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]
    openssl("req", "-new", *new, "-subj", f"/CN={common}", "-out", request)
    signer = ["-CA", folder / f"{by}.pem", "-CAkey", folder / f"{by}.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", request, *signer, "-days", "1", "-extfile", names, "-out", pem)


def certificates(program, envoy, folder, application):
    """Whose certificate it is, is who asks; a header that a client sends of one says nothing."""
    for name in ["servers", "clients", "strangers"]:
        authority(folder, name)
    certificate(folder, "server", "localhost", "servers")
    for user in ["ewa", "olga"]:
        certificate(folder, user, user, "clients")
    certificate(folder, "stranger", "ewa", "strangers")

    def shows(name):
        context = ssl.create_default_context(cafile=folder / "servers.pem")
        if name:
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return context

    told = urllib.parse.quote((folder / "ewa.pem").read_text(), safe="")
    forged = [f'X-Forwarded-Client-Cert: Cert="{told}"']
    for file, pass_on in PASS_ON.items():
        callgate = Callgate(program, folder, "original", KNOWN)
        callgate.start()
        proxy = None
        try:
            listen = ("        - filters:\n", LISTEN.replace("FOLDER", str(folder)))
            proxy = Proxy("envoy-tls", file, "original", envoy, folder, callgate, application, [listen, pass_on])
            for shown, target, headers, expected, user in [
                ("ewa", "/admin/x", [], 200, "ewa"), ("olga", "/me", [], 200, "olga"), ("olga", "/admin/x", [], 403, None),
                (None, "/public/x", [], 200, ""), (None, "/me", [], 401, None), (None, "/me", forged, 401, None),
                ("olga", "/me", forged, 200, "olga"), ("olga", "/admin/x", forged, 403, None),
                (None, "/public/x", forged, 200, ""), ("stranger", "/me", [], 0, None), ("stranger", "/public/x", [], 0, None),
            ]:
                application.taken()
                answer = ask(proxy.port, "GET", target, headers, tls=shows(shown))
                reached = application.taken()
                what = f"{file}: {target} by {shown}{', forged' if headers else ''}: {answer.status}, {reached}"
                assert answer.status == expected and len(reached) == (expected == 200), what
                if reached:
                    assert reached[0].one("x-callgate-user") == user, what
        finally:
            if proxy:
                proxy.stop()
            callgate.stop(signal.SIGKILL)
    print("certificates: as they should")
