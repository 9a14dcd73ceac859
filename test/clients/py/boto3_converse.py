"""The same user's program on Converse, ConverseStream and CountTokens of what Converse would be sent."""

import json
import os

import boto3

from report import WEATHER, say

MODEL = "global.anthropic.claude-opus-4-6-v1:0"
TOOLS = {"tools": [{"toolSpec": {
    "name": WEATHER["name"], "description": WEATHER["description"], "inputSchema": {"json": WEATHER["input_schema"]},
}}]}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def ask(messages, **more):
    return boto3.client("bedrock-runtime").converse(
        modelId=MODEL, messages=messages, inferenceConfig={"maxTokens": 256}, **more
    )


def message(reply):
    content, usage = reply["output"]["message"]["content"], reply["usage"]
    text, page, quoted = "", 0, ""
    for block in content:
        text += block.get("text", "")
        if "citationsContent" in block:
            cited = block["citationsContent"]
            text += "".join(part["text"] for part in cited["content"])
            page = cited["citations"][0]["location"]["documentPage"]["start"]
            quoted = cited["citations"][0]["sourceContent"][0]["text"]
    return dict(
        text=text, stop=reply["stopReason"], page=page, quoted=quoted, input_tokens=usage["inputTokens"],
        output_tokens=usage["outputTokens"], total_tokens=usage["totalTokens"], latency=reply["metrics"]["latencyMs"],
    )


def plain(prompt):
    reply = ask([user({"text": prompt})], system=[{"text": "Be brief."}])
    return dict(message(reply), request_id=reply["ResponseMetadata"]["RequestId"])


def read(messages, **more):
    """Reads a stream into what Converse would have answered, and the order of its events."""
    reply = boto3.client("bedrock-runtime").converse_stream(
        modelId=MODEL, messages=messages, inferenceConfig={"maxTokens": 256}, **more
    )
    blocks, order, m = {}, [], {}
    for event in reply["stream"]:
        (kind, e), = event.items()
        if order[-1:] != [kind]:
            order.append(kind)
        if kind == "contentBlockStart":
            blocks[e["contentBlockIndex"]] = {"toolUse": dict(e["start"]["toolUse"], input="")}
        elif kind == "contentBlockDelta":
            delta = e["delta"]
            if "toolUse" in delta:
                blocks[e["contentBlockIndex"]]["toolUse"]["input"] += delta["toolUse"]["input"]
                continue
            if not blocks:
                say("first", text=delta["text"])
            blocks.setdefault(e["contentBlockIndex"], {"text": ""})["text"] += delta["text"]
        else:
            m.update(e)
    m["output"] = {"message": {"role": m.pop("role"), "content": [blocks[i] for i in sorted(blocks)]}}
    return m, order


def stream(prompt):
    m, order = read([user({"text": prompt})])
    return dict(message(m), order=order)


def tools(prompt):
    turns = [user({"text": prompt})]
    first, _ = read(turns, toolConfig=TOOLS)
    answer = first["output"]["message"]
    call = next(b["toolUse"] for b in answer["content"] if "toolUse" in b)
    call["input"] = json.loads(call["input"])
    turns += [answer, user({"toolResult": {
        "toolUseId": call["toolUseId"], "content": [{"json": {"degrees": 18}}], "status": "success",
    }})]
    last = ask(turns, toolConfig=TOOLS)
    return dict(
        message(last), tool=call["name"], tool_id=call["toolUseId"], tool_input=call["input"], tool_stop=first["stopReason"]
    )


def pdf(cited):
    def run(prompt):
        with open(os.environ["PDF"], "rb") as f:
            document = {"format": "pdf", "name": "report", "source": {"bytes": f.read()}}
        if cited:
            document["citations"] = {"enabled": True}
        return message(ask([user({"text": prompt}, {"document": document})]))

    return run


def count(prompt):
    n = boto3.client("bedrock-runtime").count_tokens(
        modelId="anthropic.claude-opus-4-6-v1:0",
        input={"converse": {"messages": [user({"text": prompt})], "system": [{"text": "Be brief."}], "toolConfig": TOOLS}},
    )
    return dict(input_tokens=n["inputTokens"])


OPERATIONS = {
    "converse": plain,
    "converse-stream": stream,
    "converse-tools": tools,
    "converse-pdf": pdf(cited=False),
    "converse-pdf-cited": pdf(cited=True),
    "converse-count": count,
}
