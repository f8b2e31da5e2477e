"""What Envoy and whoever else speaks gRPC do, by Google's library and the messages as Envoy publishes them:
grpc_client.py PORT PROCESS [FOLDER AUTHORITY CERTIFICATE]; says ok. The process is stopped at the end, under a watch."""

import os
import signal
import sys

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

port, process = int(sys.argv[1]), int(sys.argv[2])
folder, authority, certificate = (sys.argv[3:] + [None] * 3)[:3]
AUTHORIZATION = "envoy.service.auth.v3.Authorization"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def read(name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def connect(**options):
    if not authority:
        return grpc.insecure_channel(f"127.0.0.1:{port}", **options)
    own = (read(f"{certificate}.key"), read(f"{certificate}.pem")) if certificate else (None, None)
    return grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(read(authority), *own), **options)


def question(path, user="", method="GET", company="demo", raw=False, headers=()):
    """A request as Envoy tells it; `raw`: each header by itself (`encode_raw_headers`)."""
    asked = external_auth_pb2.CheckRequest()
    http = asked.attributes.request.http
    http.method, http.path, http.host, http.scheme, http.size = method, path, "demo.example", "https", -1
    for name, value in [(":method", method), (":path", path), ("x-auth-user", user), *headers]:
        if raw:
            http.header_map.headers.append(base_pb2.HeaderValue(key=name, raw_value=value.encode()))
        else:
            http.headers[name] = value
    asked.attributes.context_extensions["company"] = company
    return asked


def verdict(answer):
    """The status of `google.rpc.Status`, that for the client, and the reason."""
    denied = answer.denied_response.status.code if answer.HasField("denied_response") else 0
    assert (answer.status.code == 0) == answer.HasField("ok_response") == (denied == 0), answer
    return answer.status.code, denied, answer.dynamic_metadata["reason"]


def told(headers):
    return {each.header.key: each.header.value or each.header.raw_value.decode() for each in headers}


def authorize(channel):
    """Who may, may; who may not, is denied with the status that the client gets."""
    check = external_auth_pb2_grpc.AuthorizationStub(channel).Check
    for path, user, more, expected in [
        ("/", "", {}, (0, 0, "public")),
        ("/me", "ewa", {}, (0, 0, "authenticated")),
        ("/queues/bank-in", "ewa", {}, (0, 0, "granted")),
        ("/queues/bank-in?a=%2F", "sip:902", {}, (0, 0, "granted")),
        ("/queues/bank-in", "olga", {}, (7, 403, "no_grant")),
        ("/queues/bank-in", "nobody", {}, (7, 403, "unknown_subject")),
        ("/queues/bank-in", "ewa", {"method": "POST"}, (7, 403, "method_not_allowed")),
        ("/nowhere", "ewa", {}, (7, 403, "no_route")),
        ("/me", "", {}, (16, 401, "unauthenticated")),
        ("/static/../settings", "ewa", {}, (7, 403, "dot_segment")),
        ("/me", "ewa", {"headers": [("x-original-uri", "/")]}, (7, 403, "other_target")),
        # Who is bound to companies may not ask for others.
        ("/me", "ewa", {"company": "elsewhere"}, (7, 403, "caller" if authority else "unknown_company")),
    ]:
        for raw in [False, True]:
            answer = check(question(path, user, raw=raw, **more), timeout=10)
            assert verdict(answer) == expected, (path, user, more, answer)
    headers = check(question("/me", "sip:902"), timeout=10).ok_response.headers
    assert told(headers)["x-callgate-user"] == "ewa" and told(headers)["x-callgate-company"] == "demo", headers
    forged = question("/", headers=[("x-callgate-user", "ewa")])
    headers = check(forged, timeout=10).ok_response.headers
    assert (told(headers)["x-callgate-user"], told(headers)["x-callgate-roles"]) == ("", ""), headers
    # A role that holds in projects alone is none for the whole site.
    roles = told(check(question("/me", "lucja"), timeout=10).ok_response.headers)["x-callgate-roles"].split(",")
    assert "operator" in roles and "supervisor" not in roles, roles
    decided = check(question("/queues/bank-in", "olga"), timeout=10).dynamic_metadata
    assert len(decided["revision"]) == 32 and decided["reason"] == "no_grant", decided
    overwrite = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    assert all(each.append_action == overwrite and each.keep_empty_value for each in headers), headers
    challenge = told(check(question("/me"), timeout=10).denied_response.headers)["www-authenticate"]
    assert challenge.startswith("Bearer"), challenge


def trouble(channel):
    """What cannot be decided is a call that succeeds and says deny: a proxy that fails open asks no more than that."""
    check = external_auth_pb2_grpc.AuthorizationStub(channel).Check
    empty = external_auth_pb2.CheckRequest()
    assert verdict(check(empty, timeout=10)) == (7, 403, "target_missing")
    long = question("/", headers=[("x-long", "x" * 5000)])  # shorter ones are sent as they are
    compressed = check(long, timeout=10, compression=grpc.Compression.Gzip)
    assert verdict(compressed) == (7, 403, "compressed_message"), compressed
    large = check(question("/", headers=[("x-large", "x" * (2 << 20))]), timeout=10)
    assert verdict(large) == (7, 403, "message_too_large"), large
    read_answer = external_auth_pb2.CheckResponse.FromString
    as_bytes = channel.unary_unary(f"/{AUTHORIZATION}/Check", lambda raw: raw, read_answer)
    good = question("/me", "ewa").SerializeToString()
    for raw in [b"\xff\xff\xff\xff", b"\x08\x01", good[:-1], good + b"\x0a"]:
        assert verdict(as_bytes(raw, timeout=10)) == (7, 403, "bad_message"), raw
    no_text = good.replace(b"ewa", b"\xff\xfe\x80")
    assert verdict(as_bytes(no_text, timeout=10)) == (16, 401, "malformed_identity")
    for name in ["envoy.service.auth.v2.Authorization/Check", f"{AUTHORIZATION}/Checks"]:
        try:
            channel.unary_unary(f"/{name}", lambda raw: raw, read_answer)(good, timeout=10)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
        else:
            raise AssertionError(name)


def at_once(channel):
    """Many calls on one connection, each answered as it should."""
    check = external_auth_pb2_grpc.AuthorizationStub(channel).Check
    users = ["ewa" if n % 2 else "olga" for n in range(500)]
    calls = [check.future(question("/queues/bank-in", user), timeout=20) for user in users]
    for user, call in zip(users, calls):
        assert verdict(call.result())[0] == (0 if user == "ewa" else 7), user


def health(channel):
    """Whether it serves, now and until it stops."""
    ask = health_pb2_grpc.HealthStub(channel)
    of = lambda name: health_pb2.HealthCheckRequest(service=name)
    for name in ["", AUTHORIZATION, "grpc.health.v1.Health"]:
        assert ask.Check(of(name), timeout=10).status == SERVING, name
    try:
        ask.Check(of("elsewhere"), timeout=10)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
    else:
        raise AssertionError("there is no such service")
    watch = ask.Watch(of(AUTHORIZATION), timeout=20)
    assert next(watch).status == SERVING
    unknown = ask.Watch(of("elsewhere"), timeout=20)
    assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    unknown.cancel()
    os.kill(process, signal.SIGTERM)
    assert next(watch).status == NOT_SERVING
    try:
        next(watch)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    else:
        raise AssertionError("the watch does not end")


with connect() as channel:
    authorize(channel)
    trouble(channel)
    at_once(channel)
    health(channel)
print("ok")
