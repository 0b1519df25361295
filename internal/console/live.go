package console

import (
	"context"
	"net/http"
	"strings"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/breakers"
	"switchgear/internal/checklist"
	"switchgear/internal/health"
	"switchgear/internal/live"
	"switchgear/internal/rotation"
)

// liveRoute is where pages listen for what has changed.
const liveRoute = "/live"

type livePages struct{ *Console }

func (p livePages) routes() []route {
	return []route{{http.MethodGet, liveRoute, signedIn(), p.stream}}
}

// topicPermission says who may hear that something changed: whoever may read it. A topic that is not
// here does not exist.
func topicPermission(topic string) (guard, bool) {
	if strings.HasPrefix(topic, breakers.TopicOf("")) { // of one connection
		topic = breakers.Topic
	}
	switch topic {
	case "users", "invitations":
		return needs(access.PermissionUsersRead), true
	case "keys":
		return needs(access.PermissionKeysRead), true
	case "audit":
		return needs(access.PermissionAuditRead), true
	case "connections", "calls", breakers.Topic, checklist.Topic, health.Topic, health.BoardTopic, alerts.Topic:
		return needs(access.PermissionSystemRead), true
	case rotation.Topic:
		return needs(access.PermissionRotate), true
	case "sessions":
		return signedIn(), true
	}
	return guard{}, false
}

// stream tells the page which topics changed. The session is looked up again at every heartbeat, so a
// revoked session's stream ends within one.
func (p livePages) stream(w http.ResponseWriter, r *http.Request) error {
	return p.Live.Handler(live.Access{
		User: func(r *http.Request) string { return actor(r).ID },
		Allowed: func(r *http.Request, topic string) bool {
			g, ok := topicPermission(topic)
			return ok && (g.signedIn || actor(r).Role.Can(g.permission))
		},
		StillAllowed: func(ctx context.Context) bool {
			_, _, ok, err := p.Access.CurrentActor(ctx, clientIP(r))
			return ok || err != nil // a store that does not answer is no sign that the session ended
		},
	})(w, r)
}
