// The official TypeScript client, told what to do line by line: `client.mjs URL ERA`.
// In: {"list":{}} or {"call":{"name":…,"arguments":…}}. Out: {"result":…} or {"error":{code,message}}.
import { createInterface } from "node:readline";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, era] = process.argv.slice(2);
const mode = era === "legacy" ? "legacy" : { pin: era };
const client = new Client({ name: "peers", version: "1.0.0" }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

const tell = (told) => process.stdout.write(JSON.stringify(told) + "\n");
tell({ result: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    tell({ result: asked.call ? await client.callTool(asked.call) : await client.listTools() });
  } catch (error) {
    tell({ error: { code: error.code ?? null, message: String(error.message) } });
  }
}
await client.close();
