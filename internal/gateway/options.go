package gateway

import "github.com/outcrop-dev/outcrop/internal/messages"

// checkOptions refuses by name what the upstream cannot honour: a guardrail that
// is ignored is worse than none.
func (g *Gateway) checkOptions(o Options) error {
	c := g.Upstream.Capabilities()
	refuse := func(what string) error {
		return messages.Errorf(messages.InvalidRequest, "%s cannot be honoured by the upstream %s.", what, g.Upstream.Name()).
			WithHint("use an upstream that has it (--upstream bedrock), or leave it out")
	}
	switch o.Trace {
	case "", "ENABLED", "DISABLED", "ENABLED_FULL":
	default:
		return badOption("trace", o.Trace, "ENABLED, DISABLED, ENABLED_FULL")
	}
	switch o.Latency {
	case "", "standard":
	case "optimized":
		if !c.Optimized {
			return refuse("The performance configuration latency=optimized")
		}
	default:
		return badOption("performanceConfigLatency", o.Latency, "standard, optimized")
	}
	switch o.ServiceTier {
	case "", "default":
	case "priority", "flex", "reserved":
		if !c.Tiers {
			return refuse("The service tier " + o.ServiceTier)
		}
	default:
		return badOption("serviceTier", o.ServiceTier, "priority, default, flex, reserved")
	}
	switch {
	case o.GuardrailID == "" && o.GuardrailVersion == "":
	case o.GuardrailID == "" || o.GuardrailVersion == "":
		return messages.Errorf(messages.InvalidRequest, "guardrailIdentifier and guardrailVersion must be given together.")
	case !c.Guardrails:
		return refuse("The guardrail " + o.GuardrailID)
	}
	return nil
}

func badOption(name, value, enum string) error {
	return messages.Errorf(messages.InvalidRequest,
		"1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]", value, name, enum)
}
