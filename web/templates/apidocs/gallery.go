package apidocs

import (
	"strings"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Gallery lists the states of the page about the API.
func Gallery() []ui.State {
	empty := sample()
	empty.Groups, empty.Rules = nil, nil

	one := sample()
	one.Groups = one.Groups[:1]
	one.Groups[0].Operations = one.Groups[0].Operations[:1]

	long := sample()
	o := &long.Groups[0].Operations[0]
	o.Path = "/connections/" + strings.Repeat("a-part-of-a-long-path/", 8) + "{version}"
	o.Summary, o.Description = strings.Repeat("List what there is of it ", 10), strings.Repeat("It says a lot. ", 60)
	o.Parameters[0].Name = "filter[" + strings.Repeat("a_very_long_name_", 6) + "]"
	o.Response = `{"data": "` + strings.Repeat("0123456789abcdef", 60) + `"}`

	return []ui.State{
		page("many", Page(sample())),
		page("one operation", Page(one)),
		page("empty", Page(empty)),
		page("long text", Page(long)),
	}
}

func page(name string, view templ.Component) ui.State {
	return ui.State{Group: "API description", Name: name, View: view, Page: true}
}

func sample() View {
	answers := []Answer{{200, "OK"}, {400, "Bad Request"}, {401, "Unauthorized"}}
	return View{
		Bare: layout.Bare{Title: "Machine API, version 1", Version: "v0.1.0", Wide: true}, Base: "/api/v1", DocumentHref: "/api/v1/openapi.json",
		Description: "Connections and what belongs to them.",
		Rules: []Rule{
			{"Key", "Authorization: Bearer sg_…, or X-API-Key."},
			{"Changes", "Send the ETag back as If-Match."},
		},
		Groups: []Group{
			{Name: "Connections", Operations: []Operation{
				{
					ID: "list-connections", Method: "GET", Path: "/connections", Summary: "List connections", Scope: "api:read", Answers: answers,
					Parameters: []Parameter{{Name: "page", In: "query", Type: "integer", Description: "Page of the list, from 1."}},
					Response:   "{\n  \"data\": [],\n  \"meta\": {\"page\": 1}\n}",
				},
				{
					ID: "create-connection", Method: "POST", Path: "/connections", Summary: "Create a connection", Scope: "api:write", Answers: answers,
					Description: "The credential is stored sealed and never returned.", RequestType: "application/json", Request: "{\n  \"name\": \"Stripe live\"\n}",
					Parameters: []Parameter{{Name: "If-Match", In: "header", Type: "string", Description: "The tag.", Required: true}},
				},
			}},
			{Name: "Calls", Operations: []Operation{{ID: "delete-call", Method: "DELETE", Path: "/calls/{id}", Summary: "Forget a call", Scope: "api:write", Answers: answers[1:]}}},
		},
	}
}
