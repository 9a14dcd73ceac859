"""The same user's program on model access: what the page calls subscribing, and the settings around it."""

import json

import boto3
from botocore.exceptions import ClientError

MODEL = "anthropic.claude-opus-4-6-v1:0"
FORM = json.dumps({
    "companyName": "Example", "companyWebsite": "https://example.com", "intendedUsers": "0",
    "industryOption": "Other", "otherIndustryOption": "Geology", "useCases": "Reading rocks",
}).encode()


def code(call, **kw):
    """The code of the client's error, or the status of its answer."""
    try:
        return str(call(**kw)["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as e:
        return e.response["Error"]["Code"]


def access(region):
    """Everything in one Region, which no other program of this account touches."""
    bedrock = boto3.client("bedrock", region_name=region)
    runtime = boto3.client("bedrock-runtime", region_name=region)
    account = boto3.client("sts").get_caller_identity()["Account"]

    def invoke(model):
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}
        return code(runtime.invoke_model, modelId=model, body=json.dumps(body))

    def available():
        a = bedrock.get_foundation_model_availability(modelId=MODEL)
        return " ".join([
            a["agreementAvailability"]["status"], a["authorizationStatus"], a["entitlementAvailability"], a["regionAvailability"],
        ])

    facts = {"fresh": available()}
    facts["withdrawn"] = code(bedrock.delete_foundation_model_agreement, modelId=MODEL)
    facts["then"] = available()
    facts["then invoked"] = invoke("global." + MODEL)
    offer = bedrock.list_foundation_model_agreement_offers(modelId=MODEL, offerType="ALL")["offers"][0]
    card = offer["termDetails"]["usageBasedPricingTerm"]["rateCard"]
    facts["price"] = next(r["price"] for r in card if r["dimension"] == "input_tokens_global_standard")
    agree = dict(modelId=MODEL, offerToken=offer["offerToken"])
    facts["agreed"] = code(bedrock.create_foundation_model_agreement, **agree)
    facts["agreed twice"] = code(bedrock.create_foundation_model_agreement, **agree)
    facts["invoked"] = invoke("global." + MODEL)

    facts["no form"] = code(bedrock.get_use_case_for_model_access)
    facts["form"] = code(bedrock.put_use_case_for_model_access, formData=FORM)
    facts["same form"] = str(bedrock.get_use_case_for_model_access()["formData"] == FORM)

    facts["retention"] = bedrock.get_account_data_retention()["mode"]
    facts["set"] = code(bedrock.put_account_data_retention, mode="none")
    facts["covered by none"] = invoke("global.anthropic.claude-fable-5")
    facts["set again"] = bedrock.put_account_data_retention(mode="aws_review")["mode"]
    facts["covered by aws_review"] = invoke("global.anthropic.claude-fable-5")

    facts["logging"] = str(bedrock.get_model_invocation_logging_configuration().get("loggingConfig"))
    facts["to nobody's bucket"] = code(
        bedrock.put_model_invocation_logging_configuration, loggingConfig={"s3Config": {"bucketName": "somebody-elses-bucket"}}
    )
    facts["to a bucket"] = code(
        bedrock.put_model_invocation_logging_configuration,
        loggingConfig={"s3Config": {"bucketName": "team-logs", "keyPrefix": "calls"}, "imageDataDeliveryEnabled": False},
    )
    config = bedrock.get_model_invocation_logging_configuration()["loggingConfig"]
    facts["logs to"] = "{bucketName} {keyPrefix} {}".format(config["imageDataDeliveryEnabled"], **config["s3Config"])
    facts["logging deleted"] = code(bedrock.delete_model_invocation_logging_configuration)

    source = f"arn:aws:bedrock:{region}:{account}:inference-profile/global.{MODEL}"
    made = bedrock.create_inference_profile(
        inferenceProfileName="team 7", description="Costs of team 7", modelSource={"copyFrom": source},
        tags=[{"key": "team", "value": "7"}],
    )
    facts["made"] = "{} {}".format(made["ResponseMetadata"]["HTTPStatusCode"], made["status"])
    arn = made["inferenceProfileArn"]
    pages = bedrock.get_paginator("list_inference_profiles").paginate(typeEquals="APPLICATION", PaginationConfig={"PageSize": 1})
    facts["listed"] = " ".join(p["inferenceProfileName"] for page in pages for p in page["inferenceProfileSummaries"])
    profile = bedrock.get_inference_profile(inferenceProfileIdentifier=arn)
    facts["profile"] = "{} {} of {} models".format(profile["type"], profile["status"], len(profile["models"]))
    facts["profile invoked"] = invoke(arn)
    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "env", "value": "test"}])
    bedrock.untag_resource(resourceARN=arn, tagKeys=["team"])
    facts["tags"] = " ".join(t["key"] + "=" + t["value"] for t in bedrock.list_tags_for_resource(resourceARN=arn)["tags"])
    many = [{"key": f"k{i}", "value": ""} for i in range(50)]
    facts["51 tags"] = code(bedrock.tag_resource, resourceARN=arn, tags=many)
    facts["deleted"] = code(bedrock.delete_inference_profile, inferenceProfileIdentifier=arn)
    facts["gone"] = code(bedrock.get_inference_profile, inferenceProfileIdentifier=arn)
    facts["gone, invoked"] = invoke(arn)
    return dict(facts=facts)


OPERATIONS = {"access": access}
