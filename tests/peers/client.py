"""The official Python client, told what to do line by line: `client.py URL ERA`.

In: {"list":{}} or {"call":{"name":…,"arguments":…}}. Out: {"result":…} or {"error":{code,message}}.
"""

import asyncio
import json
import sys

from mcp import Client


def tell(told):
    print(json.dumps(told), flush=True)


async def main(url, era):
    async with Client(url, mode=era) as client:
        tell({"result": "ready"})
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            try:
                if "call" in asked:
                    call = asked["call"]
                    result = await client.call_tool(call["name"], call["arguments"])
                else:
                    result = await client.list_tools()
                tell({"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)})
            except Exception as error:  # whatever it is, the test decides what it means
                code = getattr(getattr(error, "error", None), "code", None)
                tell({"error": {"code": code, "message": str(error)}})


asyncio.run(main(*sys.argv[1:]))
