"""The same user's program on invocation logging: it sets the destination, calls, and reads its bucket as an S3 user does."""

import gzip
import json
import re

import boto3

from report import main

MODEL = "global.anthropic.claude-opus-4-6-v1:0"
BUCKET, PREFIX = "team-logs", "calls"


def bucket(_):
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return {}


def call(_):
    bedrock, runtime = boto3.client("bedrock"), boto3.client("bedrock-runtime")
    bedrock.put_model_invocation_logging_configuration(loggingConfig={
        "s3Config": {"bucketName": BUCKET, "keyPrefix": PREFIX},
        "textDataDeliveryEnabled": True, "imageDataDeliveryEnabled": True, "embeddingDataDeliveryEnabled": True,
    })
    at = bedrock.get_model_invocation_logging_configuration()["loggingConfig"]["s3Config"]
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]})
    runtime.invoke_model(modelId=MODEL, body=body)["body"].read()
    for _ in runtime.invoke_model_with_response_stream(modelId=MODEL, body=body)["body"]:
        pass
    said = [{"role": "user", "content": [{"text": "Hello"}]}]
    runtime.converse(modelId=MODEL, messages=said)
    long = [{"role": "user", "content": [{"text": "Long. " * 20000}]}]
    for _ in runtime.converse_stream(modelId=MODEL, messages=long)["stream"]:
        pass
    return dict(facts={"configured": "{bucketName}/{keyPrefix}".format(**at)})


def read(_):
    """What stands in the bucket; bodies that were offloaded are followed."""
    s3, facts, keys = boto3.client("s3"), {}, []
    account = boto3.client("sts").get_caller_identity()["Account"]
    top = f"{PREFIX}/AWSLogs/{account}/BedrockModelInvocationLogs/"

    def get(key):
        return gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        keys += [o["Key"] for o in page.get("Contents", [])]
    facts["checked"] = str(top + "amazon-bedrock-logs-permission-check" in keys)
    facts["all below"] = str(all(k.startswith(top) for k in keys))
    for key in keys:
        if not re.search(r"/\d{4}/\d\d/\d\d/\d\d/\d{8}T\d{9}Z_[0-9a-f]{16}\.json\.gz$", key):
            continue
        for line in get(key).decode().splitlines():
            record = json.loads(line)
            sent, got = record["input"], record["output"]
            if "inputBodyS3Path" in sent:
                sent["inputBodyJson"] = json.loads(get(sent["inputBodyS3Path"].removeprefix(f"s3://{BUCKET}/")))
                facts["offloaded"] = str(len(sent["inputBodyJson"]["messages"][0]["content"][0]["text"]))
            if "outputBodyS3Path" in got:
                got["outputBodyJson"] = json.loads(get(got["outputBodyS3Path"].removeprefix(f"s3://{BUCKET}/")))
            facts[record["operation"]] = "{} {} {}".format(
                record["schemaType"], type(sent["inputBodyJson"]).__name__, type(got["outputBodyJson"]).__name__
            )
    return dict(facts=facts)


if __name__ == "__main__":
    main({"bucket": bucket, "call": call, "read": read})
