package callgate

# What benches/decide/hand_made.rs decides, in Rego: scopes of a user's own roles, owners, groups.

default allow := false

user := data.users[input.subject.id]

scopes contains scope if {
	some role in data.held[user]
	some scope in data.roles[role][input.resource.type][input.action.name]
}

registered if data.objects[input.resource.type][input.resource.id]

owner := data.owners[input.resource.type][input.resource.id]

owner := data.users[input.resource.properties.owner] if not registered

allow if "any" in scopes

allow if {
	"own" in scopes
	owner == user
}

allow if {
	"group" in scopes
	data.groups[user] == data.groups[owner]
}
