package alerts

import (
	"context"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// Query selects alerts. Empty fields select all.
type Query struct {
	State    State
	Severity Severity
	// Connection is a slug.
	Connection string
	RuleID     string
	// Acknowledged selects those that fire and that somebody looks after.
	Acknowledged bool
	// From and To bound when it was opened, To excluded.
	From, To time.Time
	// Sort is opened_at, -opened_at or SortUrgency; without it those that fire come first, then the newest.
	Sort string
	// Page counts from 1.
	Page, Limit int
}

// SortUrgency puts the most urgent first, and of those the oldest.
const SortUrgency = "urgency"

// Page is a part of a list.
type Page struct {
	Alerts []Alert
	Total  int
}

// NotificationQuery selects notifications. Empty fields select all.
type NotificationQuery struct {
	AlertID, ChannelID, RuleID string
	State                      NotificationState
	// Page counts from 1.
	Page, Limit int
}

// NotificationPage is a part of a list, the newest first.
type NotificationPage struct {
	Notifications []Notification
	Total         int
}

const maxLimit = 200

func paging(page, limit int) (int, int) {
	if limit < 1 {
		limit = 50
	}
	return max(page, 1), min(limit, maxLimit)
}

// Sorts are what a list of alerts can be sorted by.
func Sorts() []string { return []string{"opened_at"} }

// List returns a page of alerts. It needs system:read.
func (s *Service) List(ctx context.Context, a access.Actor, q Query) (Page, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return Page{}, err
	}
	q.Page, q.Limit = paging(q.Page, q.Limit)
	all, total, err := s.store.list(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("alerts: list: %w", err)
	}
	return Page{all, total}, nil
}

// FiringFor returns the alerts that fire for connections, by their slugs, the most urgent first and at most 200 of each.
// It needs system:read.
func (s *Service) FiringFor(ctx context.Context, a access.Actor, slugs ...string) ([]Alert, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	if len(slugs) == 0 {
		return nil, nil
	}
	all, err := s.store.firing(ctx, slugs)
	if err != nil {
		return nil, fmt.Errorf("alerts: that fire: %w", err)
	}
	return all, nil
}

// Unacknowledged counts the alerts that fire and that nobody looks after. It needs system:read.
func (s *Service) Unacknowledged(ctx context.Context, a access.Actor) (int, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return 0, err
	}
	n, err := s.store.unacknowledged(ctx)
	if err != nil {
		return 0, fmt.Errorf("alerts: count: %w", err)
	}
	return n, nil
}

// Get returns one alert, with the times that it fired. It needs system:read. One that does not exist is a fault.NotFound ALERT_NOT_FOUND.
func (s *Service) Get(ctx context.Context, a access.Actor, id string) (Alert, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return Alert{}, err
	}
	alert, ok, err := s.store.alert(ctx, s.deps.DB, id)
	if err != nil {
		return Alert{}, fmt.Errorf("alerts: read %s: %w", id, err)
	}
	if !ok {
		return Alert{}, noAlert()
	}
	if alert.Episodes, err = s.store.episodes(ctx, s.deps.DB, id); err != nil {
		return Alert{}, fmt.Errorf("alerts: read the times of %s: %w", id, err)
	}
	return alert, nil
}

func noAlert() error { return fault.New(fault.NotFound, "ALERT_NOT_FOUND", "There is no such alert.") }

// Notifications returns a page of what was to be sent and what became of it. It needs system:read.
func (s *Service) Notifications(ctx context.Context, a access.Actor, q NotificationQuery) (NotificationPage, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return NotificationPage{}, err
	}
	q.Page, q.Limit = paging(q.Page, q.Limit)
	all, total, err := s.store.listNotifications(ctx, q)
	if err != nil {
		return NotificationPage{}, fmt.Errorf("alerts: notifications: %w", err)
	}
	return NotificationPage{all, total}, nil
}

// Acknowledge says that somebody looks after an alert: no reminder is sent until it comes back. It needs
// operate. One that is over is a fault.Conflict ALERT_RESOLVED.
func (s *Service) Acknowledge(ctx context.Context, a access.Actor, id, note string) (Alert, error) {
	note, err := checkText("note", note, "")
	if err != nil {
		return Alert{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out Alert
	err = s.change(ctx, a, access.PermissionOperate, func(tx *db.Tx, a access.Actor) (audit.Entry, error) {
		alert, ok, err := s.store.alert(ctx, tx, id)
		switch {
		case err != nil:
			return audit.Entry{}, err
		case !ok:
			return audit.Entry{}, noAlert()
		case !alert.Firing():
			return audit.Entry{}, fault.New(fault.Conflict, "ALERT_RESOLVED", "The alert is over: there is nothing to look after.")
		}
		alert.Acknowledged = Acknowledgement{At: s.moment(), By: a.Name, Note: note}
		if err := s.store.putAlert(ctx, tx, &alert); err != nil {
			return audit.Entry{}, err
		}
		out = alert
		return audit.Entry{
			Action: actionAcknowledge, Reason: note, Target: audit.Target{Kind: "alert", ID: alert.ID, Name: alert.RuleName},
			Details: map[string]string{"connection": alert.Connection, "operation": alert.Operation},
		}, nil
	})
	if followed := s.state.followed[out.Fingerprint]; err == nil && followed != nil && followed.ID == out.ID {
		followed.Acknowledged = out.Acknowledged
	}
	return out, err
}
