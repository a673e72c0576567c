"""Records replies of five real MCP servers for tests/inference.rs.

    python3 tests/peers/record.py HOME OUT

HOME holds `node_modules` (@modelcontextprotocol/server-memory, -filesystem, -everything) and `.venv`
(mcp-server-time, mcp-server-git). OUT/<server>/<tool>.jsonl gets one `result` a line. All contents are
made here; the temporary directory is written as /srv/data.
"""

import json
import os
import subprocess
import sys
import tempfile

REPLIES = 40
WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll larch".split()
ZONES = [
    "UTC", "Europe/Zurich", "Asia/Tokyo", "America/New_York", "Africa/Nairobi", "Asia/Kolkata",
    "America/Sao_Paulo", "Australia/Sydney", "Europe/Lisbon", "Pacific/Auckland", "Asia/Dubai",
]


class Server:
    """An MCP server on its standard input and output."""

    def __init__(self, command, env=None):
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env={**os.environ, **(env or {})},
        )
        self.id = 0
        self.ask("initialize", {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "recorder", "version": "1"},
        })
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def ask(self, method, params):
        self.id += 1
        self.send({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params})
        for line in self.child.stdout:
            message = json.loads(line)
            if message.get("id") == self.id and "method" not in message:
                return message
        raise SystemExit(f"{method}: the server ended")


def word(n):
    return f"{WORDS[n % len(WORDS)]}-{n}"


def memory(n):
    name, other = word(n), word(max(0, n - 1))
    entity = {"name": name, "entityType": "place" if n % 2 else "tree",
              "observations": [f"seen {n} times"] * (n % 3)}
    return [
        ("create_entities", {"entities": [entity, {**entity, "name": f"{name}-b"}]}),
        ("create_relations", {"relations": [{"from": name, "to": other, "relationType": "near"}]}),
        ("add_observations", {"observations": [{"entityName": name, "contents": [f"note {n}"]}]}),
        ("open_nodes", {"names": [name, other]}),
        ("search_nodes", {"query": WORDS[n % len(WORDS)]}),
        ("read_graph", {}),
        ("delete_relations", {"relations": [{"from": name, "to": other, "relationType": "near"}]}),
        ("delete_observations", {"deletions": [{"entityName": name, "observations": ["gone"]}]}),
        # The graph stays small.
        ("delete_entities", {"entityNames": [f"{name}-b", word(n - 2)] if n > 1 else []}),
    ]


def filesystem(base):
    def calls(n):
        file, folder = f"{base}/{word(n)}.txt", f"{base}/d{n % 7}"
        return [
            ("write_file", {"path": file, "content": f"{word(n)}\nline {n}\n"}),
            ("create_directory", {"path": folder}),
            ("read_text_file", {"path": file}),
            ("read_file", {"path": file, "head": 1}),
            ("read_multiple_files", {"paths": [file, file]}),
            ("edit_file", {"path": file, "edits": [{"oldText": "line", "newText": "row"}]}),
            ("get_file_info", {"path": file}),
            ("list_directory", {"path": folder}),
            ("list_directory_with_sizes", {"path": folder}),
            ("directory_tree", {"path": folder}),
            ("search_files", {"path": base, "pattern": f"*{n}.txt"}),
            ("move_file", {"source": file, "destination": f"{folder}/{word(n)}.txt"}),
            ("list_allowed_directories", {}),
        ]
    return calls


def everything(n):
    return [
        ("echo", {"message": word(n)}),
        ("get-sum", {"a": n, "b": 2 * n + 0.5}),
        ("get-structured-content", {"location": ["New York", "Chicago", "Los Angeles"][n % 3]}),
        ("get-annotated-message", {"messageType": ["error", "success", "debug"][n % 3]}),
        ("get-resource-links", {"count": 1 + n % 4}),
        ("get-resource-reference", {"resourceType": ["Text", "Blob"][n % 2], "resourceId": n + 1}),
    ]


def time(n):
    zone, other = ZONES[n % len(ZONES)], ZONES[(3 * n + 1) % len(ZONES)]
    hour = {"source_timezone": zone, "time": f"{n % 24:02}:{(7 * n) % 60:02}",
            "target_timezone": other}
    return [("get_current_time", {"timezone": zone}), ("convert_time", hour)]


def git(base):
    def calls(n):
        name = f"{word(n)}.txt"
        with open(f"{base}/{name}", "w", encoding="utf-8") as file:
            file.write(f"{word(n)}\n")
        at = {"repo_path": base}
        return [
            ("git_status", at),
            ("git_add", {**at, "files": [name]}),
            ("git_diff_staged", at),
            ("git_commit", {**at, "message": f"adds {name}"}),
            ("git_log", {**at, "max_count": 1 + n % 2}),
            ("git_show", {**at, "revision": "HEAD"}),
            ("git_create_branch", {**at, "branch_name": word(n)}),
            ("git_branch", {**at, "branch_type": "local", "contains": "HEAD"}),
            ("git_diff_unstaged", at),
        ]
    return calls


def record(server, calls, out, base):
    told = {}
    for n in range(REPLIES):
        for tool, arguments in calls(n):
            answer = server.ask("tools/call", {"name": tool, "arguments": arguments})
            result = answer.get("result")
            if result is None or result.get("isError"):
                raise SystemExit(f"{tool}: {json.dumps(answer)[:400]}")
            told.setdefault(tool, []).append(result)
    server.child.kill()
    server.child.wait()
    os.makedirs(out, exist_ok=True)
    for tool, results in told.items():
        with open(f"{out}/{tool}.jsonl", "w", encoding="utf-8") as file:
            for result in results:
                line = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
                file.write(line.replace(base, "/srv/data") + "\n")


def main(home, out):
    node = lambda name: ["node", f"{home}/node_modules/@modelcontextprotocol/{name}/dist/index.js"]
    python = lambda name: f"{home}/.venv/bin/{name}"
    with tempfile.TemporaryDirectory() as base:
        base = os.path.realpath(base)
        files, repository = f"{base}/files", f"{base}/repository"
        os.mkdir(files)
        graph = {"MEMORY_FILE_PATH": f"{base}/memory.jsonl"}
        record(Server(node("server-memory"), graph), memory, f"{out}/memory", base)
        record(Server(node("server-filesystem") + [files]), filesystem(files), f"{out}/filesystem", base)
        record(Server(node("server-everything")), everything, f"{out}/everything", base)
        clock = [python("mcp-server-time"), "--local-timezone=UTC"]
        record(Server(clock), time, f"{out}/time", base)
        subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.com"))}
        opened = Server([python("mcp-server-git"), "--repository", repository], who)
        record(opened, git(repository), f"{out}/git", base)


if __name__ == "__main__":
    main(*sys.argv[1:])
