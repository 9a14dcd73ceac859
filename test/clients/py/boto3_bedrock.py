"""A user's program on boto3: bedrock-runtime, bedrock and sts."""

import json

import boto3

import boto3_access
import boto3_converse
from report import WEATHER, main, say

MODEL = "global.anthropic.claude-opus-4-6-v1:0"


def body(messages, **more):
    return json.dumps({
        "anthropic_version": "bedrock-2023-05-31", "max_tokens": 256, "messages": messages, **more,
    })


def message(m):
    text = "".join(b["text"] for b in m["content"] if b["type"] == "text")
    return dict(
        id=m["id"], model=m["model"], text=text, stop=m["stop_reason"],
        input_tokens=m["usage"]["input_tokens"], output_tokens=m["usage"]["output_tokens"],
    )


def invoke(messages, **more):
    reply = boto3.client("bedrock-runtime").invoke_model(modelId=MODEL, body=body(messages, **more))
    return json.loads(reply["body"].read()), reply["ResponseMetadata"]


def plain(prompt):
    m, meta = invoke([{"role": "user", "content": prompt}])
    counted = meta["HTTPHeaders"]
    return dict(
        message(m), request_id=meta["RequestId"],
        header_input_tokens=int(counted["x-amzn-bedrock-input-token-count"]),
        header_output_tokens=int(counted["x-amzn-bedrock-output-token-count"]),
    )


def stream(prompt):
    reply = boto3.client("bedrock-runtime").invoke_model_with_response_stream(
        modelId=MODEL, body=body([{"role": "user", "content": prompt}])
    )
    m, text, metrics = {}, "", None
    for frame in reply["body"]:
        event = json.loads(frame["chunk"]["bytes"])
        if event["type"] == "message_start":
            m = event["message"]
        elif event["type"] == "content_block_delta":
            if not text:
                say("first", text=event["delta"]["text"])
            text += event["delta"]["text"]
        elif event["type"] == "message_delta":
            m["stop_reason"] = event["delta"]["stop_reason"]
            m["usage"].update(event["usage"])
        elif event["type"] == "message_stop":
            metrics = event["amazon-bedrock-invocationMetrics"]
    m["content"] = [{"type": "text", "text": text}]
    return dict(message(m), metrics=metrics)


def tools(prompt):
    turns = [{"role": "user", "content": prompt}]
    first, _ = invoke(turns, tools=[WEATHER])
    call = next(b for b in first["content"] if b["type"] == "tool_use")
    turns += [
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "18 degrees"}]},
    ]
    last, _ = invoke(turns, tools=[WEATHER])
    return dict(
        message(last), tool=call["name"], tool_id=call["id"], tool_input=call["input"], tool_stop=first["stop_reason"]
    )


def listing(_):
    bedrock = boto3.client("bedrock")
    models = bedrock.list_foundation_models(byProvider="anthropic")["modelSummaries"]
    pages = bedrock.get_paginator("list_inference_profiles").paginate(
        typeEquals="SYSTEM_DEFINED", PaginationConfig={"PageSize": 7}
    )
    profiles = [p for page in pages for p in page["inferenceProfileSummaries"]]
    one = bedrock.get_foundation_model(modelIdentifier="anthropic.claude-opus-4-6-v1:0")["modelDetails"]
    by_id = bedrock.get_inference_profile(inferenceProfileIdentifier=profiles[0]["inferenceProfileId"])
    by_arn = bedrock.get_inference_profile(inferenceProfileIdentifier=profiles[0]["inferenceProfileArn"])
    return dict(
        models=[m["modelId"] for m in models], profiles=[p["inferenceProfileId"] for p in profiles],
        model=one["modelName"], same=by_id["inferenceProfileArn"] == by_arn["inferenceProfileArn"],
    )


def count(prompt):
    n = boto3.client("bedrock-runtime").count_tokens(
        modelId="anthropic.claude-opus-4-6-v1:0",
        input={"invokeModel": {"body": body([{"role": "user", "content": prompt}])}},
    )
    return dict(input_tokens=n["inputTokens"])


def identity(_):
    who = boto3.client("sts").get_caller_identity()
    return dict(account=who["Account"], arn=who["Arn"], user=who["UserId"])


main({
    "version": lambda _: dict(text=boto3.__version__),
    "plain": plain,
    "stream": stream,
    "tools": tools,
    "list": listing,
    "count-tokens": count,
    "identity": identity,
    **boto3_converse.OPERATIONS,
    **boto3_access.OPERATIONS,
})
