package channels

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// slack posts to an incoming webhook of Slack, or of what understands the same.
type slack struct{}

func (slack) Info() Info {
	return Info{
		ID: "slack", Label: "Slack", About: "A message to an incoming webhook of Slack, or of a program that understands the same.",
		Fields: []Field{
			{Key: "url", Label: "Webhook URL", Type: FieldSecret, Required: true, Secret: true, Help: "Whoever knows it can post: it is stored sealed and never shown again."},
		},
	}
}

func (slack) Check(values map[string]string) error { return checkURL(values["url"]) }

// The most that one text of a block, and the fallback text, may hold.
const (
	slackText = 2900
	slackFact = 300
)

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackMark  `json:"text,omitempty"`
	Elements []slackMark `json:"elements,omitempty"`
}

type slackMark struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (slack) Send(ctx context.Context, w Wire, t Target, m Message) error {
	title := slackEscape(clip(m.Title(), slackFact))
	main := "*" + title + "*\n" + slackEscape(clip(m.Why, slackText/2))
	if m.URL != "" {
		main += "\n<" + slackEscape(m.URL) + "|Open the alert>"
	}
	blocks := []slackBlock{{Type: "section", Text: &slackMark{"mrkdwn", main}}}
	facts := m.facts()
	marks := make([]slackMark, 0, len(facts))
	for _, f := range facts {
		marks = append(marks, slackMark{"mrkdwn", slackEscape(f.name + ": " + clip(oneLine(f.value), slackFact))})
	}
	if len(marks) > 0 {
		blocks = append(blocks, slackBlock{Type: "context", Elements: marks})
	}
	body, err := json.Marshal(struct {
		Text   string       `json:"text"`
		Blocks []slackBlock `json:"blocks"`
	}{title + ": " + slackEscape(clip(m.Why, slackText/2)), blocks})
	if err != nil {
		return &SendError{Text: "The message cannot be encoded.", Permanent: true}
	}
	return post(ctx, w, t.Values["url"], body, http.Header{})
}

// slackEscape takes their meaning from the three characters that have one; mentions and links begin with them.
func slackEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
