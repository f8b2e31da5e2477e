"""Who logs users in, as far as a demo and the tests need one: tokens (RFC 7519, RS256) by a key of its own, made with
the program openssl. Not for anything that matters: whoever asks gets a token."""

import base64
import json
import subprocess
import time


class Issuer:
    """Makes a key, writes the key set to FOLDER/keys.json, and signs tokens."""

    def __init__(self, folder):
        self.key = folder / "key.pem"
        run = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key]
        subprocess.run(run, check=True, stderr=subprocess.DEVNULL)
        told = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True, capture_output=True)
        modulus = bytes.fromhex(told.stdout.decode().strip().partition("=")[2])
        key = {"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": text(modulus), "e": "AQAB"}
        keys = folder / "keys.json.new"
        keys.write_text(json.dumps({"keys": [key]}))
        keys.rename(folder / "keys.json")

    def token(self, user):
        now = int(time.time())
        claims = {"iss": "https://id.demo.example", "aud": "demo", "sub": user, "iat": now, "exp": now + 3600}
        signed = ".".join(text(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "one"}, claims))
        sign = ["openssl", "dgst", "-sha256", "-sign", self.key]
        signature = subprocess.run(sign, check=True, input=signed.encode(), capture_output=True).stdout
        return f"{signed}.{text(signature)}"


def text(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
