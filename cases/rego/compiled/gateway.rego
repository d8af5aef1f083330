package writ

default decision := {"kind": "deny", "reason": "policy_undefined"}

decision := {"kind": "allow", "reason": "policy_allowed"} if {
	granted
	count(denials) == 0
}

decision := {"kind": "deny", "reason": "policy_denied", "denials": denials} if count(denials) > 0

grants := {
	"reader": ["search", "read"],
	"operator": ["search", "read", "transfer"],
}

granted if {
	some role in input.subject.roles
	input.resource.tool in grants[role]
}

denials contains "amount" if input.context.arguments.amount > 1000

denials contains "network" if not input.context.network in {"office", "vpn"}

denials contains "hours" if not working(input.context.hour)

denials contains "destructive" if {
	input.resource.destructive == true
	not "operator" in input.subject.roles
}

working(hour) if {
	hour >= 6
	hour < 22
}
