package sandbox

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
)

const pages = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sandbox</title></head>
<body><main><h1>Sandbox</h1>
{{with .Message}}<p>{{.}}</p>{{else}}<p>{{.Client}} asks for access{{with .Scope}} to {{.}}{{end}}.</p>
<form method="post" action="{{.Action}}">
{{range $name, $value := .Fields}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<button name="decision" value="approve">Allow</button>
<button name="decision" value="deny">Refuse</button>
</form>{{end}}
</main></body></html>
`

// consentView is what the consent page shows and sends back.
type consentView struct {
	Client, Scope, Action, Message string
	Fields                         map[string]string
}

func consentPage(v consentView) answer { return page(http.StatusOK, v) }

func donePage(message string) answer { return page(http.StatusOK, consentView{Message: message}) }

func problemPage(message string) answer {
	return page(http.StatusNotFound, consentView{Message: message})
}

func page(status int, v consentView) answer {
	t, err := template.New("page").Parse(pages)
	var out bytes.Buffer
	if err == nil {
		err = t.Execute(&out, v)
	}
	if err != nil {
		return problem(err)
	}
	return answer{status: status, body: out.Bytes(), header: http.Header{
		"Content-Type": {"text/html; charset=utf-8"}, "Cache-Control": {"no-store"},
		"Content-Security-Policy": {"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"},
	}}
}

// flatten keeps the first value of each field, and no decision that came with them.
func flatten(form url.Values) map[string]string {
	out := map[string]string{}
	for name := range form {
		if name != "decision" {
			out[name] = form.Get(name)
		}
	}
	return out
}
