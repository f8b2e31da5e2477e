// What a Node application does: client.mjs URL PATH FOLDER [AUTHORITY [CERTIFICATE]]; says ok.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";

const [url, path, folder, authority, certificate] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
const [allow, deny] = ["allow", "deny"].map(read);
const tls = authority ? { ca: read(authority) } : {};
if (certificate) Object.assign(tls, { cert: read(`${certificate}.pem`), key: read(`${certificate}.key`) });
const headers = { "content-type": "application/json" };

async function text(stream) {
    let whole = "";
    for await (const piece of stream) whole += piece;
    return whole;
}

// Over HTTP/1.1, by an agent that keeps connections.
async function ask(agent, where, body, chunked) {
    const { request } = where.socketPath || !authority ? http : https;
    const length = chunked ? {} : { "content-length": body.length };
    const sent = request({ method: "POST", path, agent, ...where, headers: { ...headers, ...length } });
    if (chunked) for (const byte of body.toString()) sent.write(byte);
    else sent.write(body);
    sent.end();
    const [answer] = await once(sent, "response");
    return [answer.statusCode, await text(answer)];
}

async function converse(where) {
    const { Agent } = where.socketPath || !authority ? http : https;
    const agent = new Agent({ keepAlive: true, maxSockets: 4, ...tls });
    assert.deepEqual(await ask(agent, where, allow), [200, '{"decision":true}']);
    assert.deepEqual(await ask(agent, where, deny), [200, '{"decision":false}']);
    assert.deepEqual(await ask(agent, where, allow, true), [200, '{"decision":true}']);
    assert.equal((await ask(agent, where, Buffer.from("{")))[0], 400);
    const many = Array.from({ length: 100 }, (_, n) => ask(agent, where, n % 2 ? allow : deny));
    for (const [n, answer] of (await Promise.all(many)).entries())
        assert.deepEqual(answer, [200, `{"decision":${n % 2 === 1}}`]);
    agent.destroy();
}

// Over HTTP/2: many requests on one connection.
async function share(target) {
    const session = http2.connect(target, tls);
    const post = async (body) => {
        const stream = session.request({ ":method": "POST", ":path": path, ...headers });
        stream.end(body);
        const [told] = await once(stream, "response");
        return [told[":status"], await text(stream)];
    };
    const many = Array.from({ length: 300 }, (_, n) => post(n % 2 ? allow : deny));
    for (const [n, answer] of (await Promise.all(many)).entries())
        assert.deepEqual(answer, [200, `{"decision":${n % 2 === 1}}`]);
    session.close();
    await once(session, "close");
}

const { hostname, port } = new URL(url);
await converse({ hostname, port });
await share(url);
if (!authority) await converse({ socketPath: `${folder}/decide.sock` });
console.log("ok");
