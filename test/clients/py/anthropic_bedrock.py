"""A user's program on anthropic[bedrock]: AnthropicBedrock, and AnthropicBedrockMantle for the mantle operations."""

import anthropic
from anthropic import AnthropicBedrock, AnthropicBedrockMantle

from report import WEATHER, main, say

MODEL = "global.anthropic.claude-opus-4-6-v1:0"
MANTLE_MODEL = "anthropic.claude-opus-4-8"


def ask(prompt):
    return dict(max_tokens=256, messages=[{"role": "user", "content": prompt}])


def message(m):
    text = "".join(b.text for b in m.content if b.type == "text")
    return dict(
        id=m.id, model=m.model, text=text, stop=m.stop_reason,
        input_tokens=m.usage.input_tokens, output_tokens=m.usage.output_tokens,
    )


def plain(client, model):
    def run(prompt):
        return message(client().messages.create(model=model, **ask(prompt)))
    return run


def stream(client, model):
    def run(prompt):
        with client().messages.stream(model=model, **ask(prompt)) as s:
            for i, text in enumerate(s.text_stream):
                if i == 0:
                    say("first", text=text)
            return message(s.get_final_message())
    return run


def beta(prompt):
    client = AnthropicBedrock()
    return message(client.beta.messages.create(model=MODEL, betas=["context-1m-2025-08-07"], **ask(prompt)))


def tools(prompt):
    client = AnthropicBedrock()
    turns = [{"role": "user", "content": prompt}]
    first = client.messages.create(model=MODEL, max_tokens=256, messages=turns, tools=[WEATHER])
    call = next(b for b in first.content if b.type == "tool_use")
    turns += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}]},
    ]
    last = client.messages.create(model=MODEL, max_tokens=256, messages=turns, tools=[WEATHER])
    return dict(message(last), tool=call.name, tool_id=call.id, tool_input=call.input, tool_stop=first.stop_reason)


def count(prompt):
    n = AnthropicBedrockMantle().messages.count_tokens(
        model=MANTLE_MODEL, messages=[{"role": "user", "content": prompt}]
    )
    return dict(input_tokens=n.input_tokens)


main({
    "version": lambda _: dict(text=anthropic.__version__),
    "plain": plain(AnthropicBedrock, MODEL),
    "stream": stream(AnthropicBedrock, MODEL),
    "beta": beta,
    "tools": tools,
    "mantle": plain(AnthropicBedrockMantle, MANTLE_MODEL),
    "mantle-stream": stream(AnthropicBedrockMantle, MANTLE_MODEL),
    "mantle-count-tokens": count,
})
