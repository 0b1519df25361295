package console

import (
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/breakers"
	"switchgear/internal/health"
)

func TestTopics(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]access.Permission{
		"users": access.PermissionUsersRead, "keys": access.PermissionKeysRead, "audit": access.PermissionAuditRead,
		"connections": access.PermissionSystemRead, "calls": access.PermissionSystemRead,
		breakers.Topic: access.PermissionSystemRead, breakers.TopicOf("con_1"): access.PermissionSystemRead,
		health.Topic: access.PermissionSystemRead, health.BoardTopic: access.PermissionSystemRead,
	} {
		if g, ok := topicPermission(topic); !ok || g.permission != want || g.signedIn {
			t.Errorf("%s: %+v, %t", topic, g, ok)
		}
	}
	for _, topic := range []string{"", "breakersx", "connections:con_1"} {
		if _, ok := topicPermission(topic); ok {
			t.Errorf("there is a topic %q", topic)
		}
	}
}
