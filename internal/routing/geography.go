package routing

import "strings"

// geography is the part of the world that a Region stands in, by its name; AWS
// groups its Regions so. What fails together there (cables, power, a change that
// is rolled out by continent) does not fail elsewhere for the same reason.
func geography(region string) string {
	part, _, _ := strings.Cut(region, "-")
	switch part {
	case "us", "ca", "mx", "sa":
		return "Americas"
	case "eu":
		return "Europe"
	case "ap":
		return "Asia Pacific"
	case "me", "il", "af":
		return "Middle East and Africa"
	default:
		return part // a new one is a part of its own
	}
}

// brokeNear says that the service itself has failed this call in the Region's
// part of the world.
func (p *Plan) brokeNear(region string) bool {
	for i := range p.tries {
		if t := &p.tries[i]; t.why == broken && geography(t.Route.Region()) == geography(region) {
			return true
		}
	}
	return false
}
