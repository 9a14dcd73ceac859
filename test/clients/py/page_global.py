from anthropic import AnthropicBedrock

client = AnthropicBedrock(aws_region="us-west-2")

message = client.messages.create(
    model="global.anthropic.claude-opus-4-6-v1:0",
    max_tokens=256,
    messages=[{"role": "user", "content": "Hello, world"}]
)
