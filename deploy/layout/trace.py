#!/usr/bin/env python3
"""Writes text.ld: the functions that a sidecar runs, so that the linker puts them together.

    deploy/layout/trace.py [BINARY]

Builds the release binary with its symbols (or takes one), runs it under valgrind's callgrind in front
of a small peer, lets it seal, judge calls whose replies come as JSON and as event streams, of one agent
and of many at once, answer /metrics and /readyz and stop, and writes down what ran: first what a call runs, then the rest.
Needs valgrind and binutils. What the program does is never changed by it; see docs/adr/0009.
"""

import collections
import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# A generic function is one name with many bodies. Where less than this share of the bytes under a
# name ran, the bodies that ran are named by their hash; the name itself comes last, for the day that
# another compiler gives other hashes.
SHARE = 0.9
CALLS = 200
AGENTS = 32


def built():
    """The release binary, with symbols."""
    command = ["cargo", "rustc", "--release", "--locked", "--bin", "stipula", "--message-format=json"]
    said = subprocess.run(command + ["--", "-C", "strip=none"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    return [line["executable"] for line in lines if line.get("executable")][-1]


def tool(number):
    """A tool whose schemas use what schemas use."""
    short = {"type": "string", "minLength": 1, "maxLength": 80}
    flight = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{1,4}$"},
            "said": {"anyOf": [short, {"type": "null"}]},
            "price": {"type": "number", "minimum": 0, "exclusiveMaximum": 1e6, "multipleOf": 0.5},
            "stops": {"type": "integer", "maximum": 9},
            "cabin": {"enum": ["economy", "business"]},
            "kind": {"const": "flight"},
            "departs": {"type": "string", "format": "date-time"},
            "legs": {"type": "array", "items": {"$ref": "#/$defs/leg"}, "minItems": 1, "uniqueItems": True},
        },
        "required": ["id", "price", "cabin"],
        "additionalProperties": False,
    }
    leg = {
        "type": "object",
        "properties": {"from": short, "to": short},
        "required": ["from", "to"],
        "additionalProperties": short,
    }
    reply = {
        "type": "object",
        "properties": {"flights": {"type": "array", "items": flight}, "next": {"type": ["string", "null"]}},
        "required": ["flights"],
        "$defs": {"leg": leg},
    }
    asked = {"from": short, "many": {"type": "integer", "default": 1, "maximum": 100}}
    return {
        "name": f"search_{number}",
        "description": "Searches flights between two airports.",
        "inputSchema": {"type": "object", "properties": asked, "required": ["from"]},
        "outputSchema": reply,
        "annotations": {"readOnlyHint": True},
    }


def answer(message):
    """What answers a request: a result, or an error."""
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        about = {"name": "flights", "version": "1"}
        return {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about}}
    if method == "tools/list":
        return {"result": {"tools": [tool(number) for number in range(20)]}}
    if method != "tools/call":
        return {"error": {"code": -32601, "message": "no such method"}}
    many = params["arguments"].get("many", 1)
    one = {"id": "LX318", "said": "f\u00e9\n", "price": 199.5, "stops": 1, "cabin": "economy", "kind": "flight"}
    one |= {"departs": "2026-11-21T10:00:00Z", "legs": [{"from": "ZRH", "to": "LHR"}]}
    flights = {"flights": [one] * many}
    text = [{"type": "text", "text": json.dumps(flights)}]
    return {"result": {"content": text, "structuredContent": flights}}


class Peer(http.server.BaseHTTPRequestHandler):
    """An MCP server over Streamable HTTP."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "id" not in message:
            self.reply(202, "application/json", b"")
            return
        told = {"jsonrpc": "2.0", "id": message["id"], **answer(message)}
        body = json.dumps(told).encode()
        if message.get("params", {}).get("arguments", {}).get("from") == "stream":
            self.reply(200, "text/event-stream", b"event: message\ndata: " + body + b"\n\n")
        else:
            self.reply(200, "application/json", body)

    def do_GET(self):
        self.reply(405, "text/plain", b"")

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("mcp-session-id", "a-session")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def lived(binary, out):
    """Runs a life of the sidecar; the profile is dumped before and after the calls, and at the end."""
    http.server.ThreadingHTTPServer.request_queue_size = 4 * AGENTS
    peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as state:
        command = ["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={out}/life", binary]
        command += ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state", f"{state}/state"]
        command += ["--mode", "enforce", "--peer", f"http://127.0.0.1:{peer.server_port}/mcp"]
        sidecar = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            doors = listening(sidecar.stderr)
            threading.Thread(target=sidecar.stderr.read, daemon=True).start()
            agent = http.client.HTTPConnection(*doors["proxy"].split(":"))
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            ask(agent, "initialize", hello)
            ask(agent, "tools/list", {})
            calls(agent, CALLS)
            dump(sidecar)
            calls(agent, CALLS)
            dump(sidecar)
            crowd(doors["proxy"])
            person = http.client.HTTPConnection(*doors["admin"].split(":"))
            for path in ("/metrics", "/readyz", "/healthz"):
                person.request("GET", path)
                person.getresponse().read()
        finally:
            sidecar.send_signal(signal.SIGTERM)
            sidecar.wait(timeout=120)
            peer.shutdown()


def listening(lines):
    """Where the sidecar says that it listens."""
    for line in lines:
        doors = dict(re.findall(r"(proxy|admin)=([0-9.:]+)", line))
        if len(doors) == 2:
            return doors
    sys.exit("expected a line with proxy= and admin=, and the sidecar said none")


def calls(agent, many):
    for number in range(many):
        way = "stream" if number % 4 == 3 else "ZRH"
        ask(agent, "tools/call", {"name": "search_1", "arguments": {"from": way, "many": 1 + number % 60}})


def crowd(door):
    """Many agents at once: what waits, takes turns and opens further connections."""
    agents = [http.client.HTTPConnection(*door.split(":")) for _ in range(AGENTS)]
    threads = [threading.Thread(target=calls, args=(agent, CALLS // 10)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ask(agent, method, params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if method != "initialize":
        headers |= {"mcp-session-id": "a-session", "mcp-protocol-version": "2025-06-18"}
    agent.request("POST", "/mcp", body, headers)
    answered = agent.getresponse()
    text = answered.read()
    if answered.status != 200 or b'"error"' in text:
        sys.exit(f"expected a result of {method}, got HTTP {answered.status}: {text[:300]!r}")


def dump(sidecar):
    subprocess.run(["callgrind_control", "-d", str(sidecar.pid)], check=True, stdout=subprocess.DEVNULL)


def ran(path):
    """Names of the functions in a profile."""
    with open(path, encoding="utf-8", errors="replace") as profile:
        found = re.findall(r"^c?fn=\(\d+\) (\S+)", profile.read(), re.M)
    return {re.sub(r"'\d+$", "", name) for name in found}


def sizes(binary):
    """Bytes of every function in the binary."""
    lines = subprocess.run(["nm", "-S", "--radix=d", binary], check=True, stdout=subprocess.PIPE, text=True)
    rows = (line.split() for line in lines.stdout.splitlines())
    return {row[3]: int(row[1]) for row in rows if len(row) == 4 and row[2] in "tTwW"}


def named(function):
    """The name without what another build of it may change."""
    function = re.sub(r"\.llvm\.\d+$", "*", function)
    function = re.sub(r"17h[0-9a-f]{16}E", "17h*", function)
    function = re.sub(r"Cs[0-9A-Za-z]{6,13}_", "Cs*_", function)
    return re.sub(r"\*+", "*", function)


def ordered(groups, size):
    everything, share = collections.Counter(), collections.Counter()
    mine = set().union(*groups)
    for function, bytes_ in size.items():
        everything[named(function)] += bytes_
        share[named(function)] += bytes_ if function in mine else 0
    first, last = {}, {}
    for group in groups:
        for function in sorted(group):
            name = named(function)
            if share[name] < SHARE * everything[name]:
                first[function] = last[name] = None
            else:
                first[name] = None
    return list(first) + list(last)


def main():
    binary = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else built()
    with tempfile.TemporaryDirectory() as out:
        lived(binary, out)
        size = sizes(binary)
        life = {name: ran(f"{out}/{name}") & size.keys() for name in os.listdir(out)}
    calls_, rest = life["life.2"], set().union(*life.values())
    lines = ordered([calls_, rest - calls_], size)
    with open(f"{HERE}/text.ld", "w", encoding="utf-8") as script:
        script.write("/* Written by trace.py: what runs, together. What a call runs comes first. */\n")
        script.write("SECTIONS\n{\n  .text.ran :\n  {\n")
        # What the compiler holds for cold stands in sections of another prefix.
        script.writelines(f"    *(.text.{line} .text.unlikely.{line})\n" for line in lines)
        script.write("  }\n}\nINSERT BEFORE .text;\n")
    ran_bytes = sum(size[name] for name in rest)
    print(f"{len(calls_)} functions run in a call, {len(rest)} in all: {ran_bytes / 2**20:.1f} MiB of "
          f"{sum(size.values()) / 2**20:.1f}")


if __name__ == "__main__":
    main()
