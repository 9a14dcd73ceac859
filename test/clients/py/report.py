"""What every Python program here prints: one JSON object a line, read by the Go runner."""

import json
import sys


def say(event, **fields):
    print(json.dumps({"event": event, **fields}, default=str), flush=True)


def main(operations):
    """Runs the operation named by argv[1] with the prompt in argv[2]; an exception is reported, not hidden."""
    name, prompt = sys.argv[1], sys.argv[2]
    try:
        say("done", **operations[name](prompt))
    except Exception as e:
        body = getattr(e, "body", None)  # anthropic
        response = getattr(e, "response", None)  # botocore
        code, request_id = "", getattr(e, "request_id", "")
        if isinstance(body, dict):
            code = body.get("error", {}).get("type", "")
        elif isinstance(response, dict):
            code = response.get("Error", {}).get("Code", "")
            request_id = response.get("ResponseMetadata", {}).get("RequestId", "")
        say(
            "error",
            type=f"{type(e).__module__}.{type(e).__qualname__}",
            status=getattr(e, "status_code", 0) or 0,
            code=code,
            message=str(e),
            request_id=request_id or "",
        )


WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
