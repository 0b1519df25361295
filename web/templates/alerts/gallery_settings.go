package alerts

import (
	"strings"
	"time"

	"switchgear/web/templates/ui"
)

func sampleRules() []Rule {
	return []Rule{
		{ID: "rule_1", Name: "Breaker opened", Kind: "Breaker opened", Severity: SeverityCritical, Enabled: true, Scope: "production", Channels: []string{"Operations", "Chat of the team"}, Firing: 1},
		{ID: "rule_2", Name: "Held by vendor", Kind: "A vendor asks for a pause", Severity: SeverityWarning, Enabled: true, Scope: "every connection", For: 2 * time.Minute, Channels: []string{"Operations"}},
		{ID: "rule_3", Name: "Error budget", Kind: "The error budget burns", Severity: SeverityWarning, Enabled: true, Scope: "stripe, github", Settings: "objective 99.9 %, burn rate 14.4", For: 5 * time.Minute},
		{ID: "rule_4", Name: "Quota runs low", Kind: "The vendor's quota runs low", Severity: SeverityInfo, Scope: "every connection", Settings: "below 10 %", Channels: []string{"Operations"}},
	}
}

func ruleStates() []ui.State {
	const group, kinds, form, question = "Alert rules page", "New alert rule page", "Alert rule form", "Alert questions"
	many := RulesView{Page: frame("Rules"), Now: now(), Rules: sampleRules(), Told: Told{Channels: 2, Rules: 3, Silent: 1, Off: 1, Names: []string{"Held by vendor"}}, CanConfigure: true}
	empty, reader, one, long := many, many, many, many
	empty.Rules, empty.Told = nil, Told{Channels: 1}
	reader.CanConfigure = false
	one.Rules, one.Told = many.Rules[:1], told()
	long.Rules = []Rule{{
		ID: "rule_9", Name: longName, Kind: longText, Severity: "of_a_later_version", Enabled: true, Scope: strings.Repeat("payments-live, ", 20), Settings: longText, For: 90 * time.Hour,
		Channels: []string{longName, longName}, Firing: 12345,
	}}
	noRules := empty
	noRules.CanConfigure = false
	kind := RuleKind{ID: "error_budget", Label: "Error budget", About: "The share of failed calls over a window is higher than the objective allows."}
	fresh := RuleFormView{
		Page: frame("New rule"), Kind: kind, Name: "Error budget", Severity: SeverityWarning, Enabled: true, For: "2m", Repeat: "4h", NotifyResolved: true,
		Environments: []Option{{Value: "production", Label: "production"}, {Value: "staging", Label: "staging"}},
		Channels:     []Option{{Value: "ch_1", Label: "Operations", Hint: "Webhook"}, {Value: "ch_2", Label: "Chat of the team", Hint: "Slack"}}, Chosen: []string{"ch_1"},
		Params: []Param{
			{Name: "params.objective", Label: "Objective", Hint: "In percent of the calls.", Value: "99.9", Required: true},
			{Name: "params.window", Label: "Window", Type: ParamChoice, Value: "1h", Options: []Option{{Value: "1h", Label: "1 hour"}, {Value: "6h", Label: "6 hours"}}},
			{Name: "params.least", Label: "Calls at least", Type: ParamNumber, Value: "100"},
		},
	}
	edit, wrong, lonely := fresh, fresh, fresh
	edit.ID, edit.Environment, edit.Connections = "rule_3", "production", "stripe, github"
	wrong.ID, wrong.Name = "rule_3", longName
	wrong.Errors = Errors{
		"name": "At most 100 characters.", "params.objective": "Write a number from 1 to 100.", "for": "Write a time like 30m or 2h.", "repeat": "It must be 0 for no reminder, or from 5m to 7d.",
		"scope.connections": "One of them is not the slug of a connection.",
	}
	lonely.Channels, lonely.Chosen = nil, nil
	choose := RuleKindsView{Page: frame("New rule"), Kinds: []RuleKind{{ID: "breaker_opened", Label: "A breaker opened", About: "A breaker opens and refuses calls."}, kind, {ID: "of_later", Label: longName, About: longText}}}
	channel := sampleChannels()[2]
	wrongQuestion := many.Rules[0].Disabling(frame("Rules"), "")
	wrongQuestion.Errors = Errors{"reason": "Say why. The reason goes into the audit log."}
	return []ui.State{
		page(group, "many", Rules(many)), page(group, "one", Rules(one)), page(group, "empty", Rules(empty)), page(group, "empty, for a viewer", Rules(noRules)),
		page(group, "for a viewer", Rules(reader)), page(group, "long text", Rules(long)),
		{Group: group, Name: "the part that refreshes", View: RulesPart(many)},
		page(kinds, "many", RuleKinds(choose)),
		page(form, "new", RuleForm(fresh)), page(form, "edit", RuleForm(edit)), page(form, "errors", RuleForm(wrong)), page(form, "without channels", RuleForm(lonely)),
		page(question, "switch off a rule", Confirm(many.Rules[0].Disabling(frame("Rules"), longText))), page(question, "error", Confirm(wrongQuestion)),
		page(question, "delete a rule", Confirm(long.Rules[0].Deleting(frame("Rules"), ""))), page(question, "delete a channel", Confirm(channel.Deleting(frame("Channels"), ""))),
		page(question, "rotate a secret", Rotate(RotateView{Page: frame("Channels"), Channel: channel, Grace: "24h", Once: "token"})),
		page(question, "rotate a secret, error", Rotate(RotateView{Page: frame("Channels"), Channel: channel, Errors: Errors{"grace": "It must be from 0 to 7d."}})),
	}
}

func sampleChannels() []Channel {
	delivered, dead := sampleNotification(NotificationDelivered), sampleNotification(NotificationDead)
	return []Channel{
		{ID: "ch_1", Name: "Operations", Kind: "webhook", KindLabel: "Webhook", Target: "https://ops.example.com/…", Enabled: true, Rules: 2, Last: &delivered, UpdatedAt: ago(30 * 24 * time.Hour)},
		{ID: "ch_2", Name: "Chat of the team", Kind: "slack", KindLabel: "Slack", Enabled: true, Rules: 1, Last: &dead, UpdatedAt: ago(3 * time.Hour)},
		{ID: "ch_3", Name: "Mail", Kind: "email", KindLabel: "E-mail", Target: "ops@example.com", UpdatedAt: ago(time.Hour)},
	}
}

func channelStates() []ui.State {
	const group, one, kinds, form, shownOnce = "Alert channels page", "Alert channel page", "New alert channel page", "Alert channel form", "Alert channel added"
	many := ChannelsView{
		Page: frame("Channels"), Now: now(), Channels: sampleChannels(), Dead: []Notification{sampleNotification(NotificationDead)}, CanOperate: true, CanConfigure: true,
	}
	empty, reader, alone, long := many, many, many, many
	empty.Channels, empty.Dead = nil, nil
	reader.CanOperate, reader.CanConfigure = false, false
	alone.Channels, alone.Dead = many.Channels[:1], nil
	noChannels := empty
	noChannels.CanConfigure = false
	longNotification := Notification{ID: "ntf_9", Status: "of_a_later_version", ChannelID: "ch_9", Channel: longName, Alert: longName, AlertID: "alert_9", Event: "firing", At: ago(time.Hour), Attempts: 12345, Error: longText}
	longChannel := Channel{ID: "ch_9", Name: longName, Kind: "webhook", KindLabel: longName, Target: "https://" + strings.Repeat("long.", 20) + "example.com/…", Enabled: true, Rules: 12345, Last: &longNotification, UpdatedAt: ago(time.Hour)}
	long.Channels, long.Dead = []Channel{longChannel}, []Notification{longNotification}

	single := ChannelView{
		Page: frame("Operations"), Now: now(), Channel: sampleChannels()[0], Settings: []Setting{{"Signing secret", "stored"}}, PreviousUntil: ahead(22 * time.Hour), Rules: sampleRuleOptions(), Signed: true, CanOperate: true, CanConfigure: true,
		Notifications: []Notification{sampleNotification(NotificationPending), sampleNotification(NotificationDelivered), sampleNotification(NotificationDead), sampleNotification(NotificationSuppressed), sampleNotification(NotificationDelivered + " together")},
	}
	sent, failed, fresh, looked, longOne := single, single, single, single, single
	sent.Test = &TestResult{Sent: true, Took: 34 * time.Millisecond}
	failed.Test = &TestResult{Error: "There was no answer in time.", Took: 15 * time.Second}
	fresh.Channel, fresh.Rules, fresh.Notifications, fresh.Signed = sampleChannels()[2], nil, nil, false
	looked.CanOperate, looked.CanConfigure, looked.Channel.Enabled, looked.Channel.OffWhy = false, false, false, "The receiver answered 410 Gone: it wants no more messages."
	longOne.Channel, longOne.Notifications, longOne.Settings, longOne.Test = longChannel, long.Dead, []Setting{{"To", longText}}, &TestResult{Error: longText}
	longOne.Rules = []Option{{Value: "rule_9", Label: longName}}

	webhook := ChannelKind{ID: "webhook", Label: "Webhook", About: "A JSON document to a URL of yours, signed by the Standard Webhooks scheme."}
	choose := ChannelKindsView{Page: frame("New channel"), Kinds: []ChannelKind{webhook, {ID: "of_later", Label: longName, About: longText}}}
	made := ChannelFormView{
		Page: frame("New channel"), Kind: webhook, Enabled: true, Generates: true, Once: "token", Rules: sampleRuleOptions(), Chosen: []string{"rule_1"},
		Params: []Param{
			{Name: "settings.url", Label: "URL", Required: true, Placeholder: "https://ops.example.com/alerts"},
			{Name: "settings.security", Label: "Encryption", Type: ParamChoice, Options: []Option{{Value: "starttls", Label: "starttls"}, {Value: "tls", Label: "tls"}}},
			{Name: "settings.signing_secret", Label: "Signing secret", Type: ParamSecret, Hint: "Leave it empty to have one made."},
		},
	}
	edit, wrong := made, made
	edit.ID, edit.Name, edit.Generates, edit.Once, edit.Rules = "ch_1", "Operations", false, "", nil
	edit.Params = []Param{{Name: "settings.url", Label: "URL", Required: true, Value: "https://ops.example.com/alerts"}, {Name: "settings.signing_secret", Label: "Signing secret", Type: ParamSecret, Stored: true}}
	wrong.Name, wrong.Errors = longName, Errors{"name": "At most 100 characters.", "settings.url": "It must be a URL that begins with https:// or http://.", "settings.signing_secret": "It is too short."} //nolint:gosec // Words about a field.
	shown := SecretView{Page: frame("Operations"), Now: now(), ID: "ch_1", Name: "Operations", Secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}                                                            //nolint:gosec // Made up.
	rotated := shown
	rotated.Rotated, rotated.Until, rotated.Name = true, ahead(24*time.Hour), longName
	return []ui.State{
		page(group, "many", Channels(many)), page(group, "one", Channels(alone)), page(group, "empty", Channels(empty)), page(group, "empty, for a viewer", Channels(noChannels)),
		page(group, "for a viewer", Channels(reader)), page(group, "long text", Channels(long)),
		{Group: group, Name: "the part that refreshes", View: ChannelsPart(many)},
		page(one, "many messages", ChannelPage(single)), page(one, "test sent", ChannelPage(sent)), page(one, "test failed", ChannelPage(failed)),
		page(one, "new", ChannelPage(fresh)), page(one, "for a viewer", ChannelPage(looked)), page(one, "long text", ChannelPage(longOne)),
		{Group: one, Name: "the part that refreshes", View: ChannelPart(single)},
		page(kinds, "many", ChannelKinds(choose)),
		page(form, "new", ChannelForm(made)), page(form, "edit", ChannelForm(edit)), page(form, "errors", ChannelForm(wrong)),
		page(shownOnce, "made", Secret(shown)), page(shownOnce, "rotated", Secret(rotated)),
	}
}
