package console

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/rotation"
	"switchgear/internal/telemetry"
	rotationview "switchgear/web/templates/rotation"
)

// encryptionPages are about the keys that everything secret is encrypted with.
type encryptionPages struct{ *Console }

func (p encryptionPages) routes() []route {
	owner := needs(access.PermissionRotate)
	questions := keyQuestions()
	all := make([]route, 0, 1+2*len(questions))
	all = append(all, route{http.MethodGet, rotationview.Path, owner, p.show})
	for _, q := range questions {
		all = append(all,
			route{http.MethodGet, rotationview.Path + "/" + q.name, owner, func(w http.ResponseWriter, r *http.Request) error {
				return p.ask(w, r, http.StatusOK, q, url.Values{}, nil)
			}},
			route{http.MethodPost, rotationview.Path + "/" + q.name, owner, func(w http.ResponseWriter, r *http.Request) error {
				return p.answer(w, r, q)
			}},
		)
	}
	return all
}

// keyQuestion is something that can be done about the keys, and what is asked before.
type keyQuestion struct {
	name, title, consequence, button string
	danger, retention                bool
	// do returns what the visitor is told afterwards.
	do func(p encryptionPages, r *http.Request, form url.Values, reason string) (string, error)
}

func keyQuestions() []keyQuestion {
	return []keyQuestion{
		{
			name: "data", title: "Rotate the data key?", button: "Rotate data key",
			consequence: "A new key seals everything from now on, and what is stored is sealed anew in the background. Calls go on; so does this after a restart. The key before is disabled when no value names it any more.",
			do: func(p encryptionPages, r *http.Request, _ url.Values, reason string) (string, error) {
				return "The new data key is in use. What is stored is being sealed anew.", p.Rotation.RotateData(r.Context(), actor(r), reason)
			},
		},
		{
			name: "pause", title: "Pause the rotation?", button: "Pause",
			consequence: "No more values are sealed anew until you resume. The new key stays in use, and older keys go on opening what they sealed.",
			do: func(p encryptionPages, r *http.Request, _ url.Values, reason string) (string, error) {
				return "The rotation is paused.", p.Rotation.Pause(r.Context(), actor(r), reason)
			},
		},
		{
			name: "resume", title: "Resume the rotation?", button: "Resume",
			consequence: "The values that are still sealed with an older key are sealed anew in the background.",
			do: func(p encryptionPages, r *http.Request, _ url.Values, reason string) (string, error) {
				return "The rotation goes on.", p.Rotation.Resume(r.Context(), actor(r), reason)
			},
		},
		{
			name: "destroy", title: "Destroy disabled data keys?", button: "Destroy keys", danger: true, retention: true,
			consequence: "Keys that no value names and that have been disabled long enough are removed for good. A backup of the whole database holds its own keys and stays readable; a copy of single rows does not.",
			do: func(p encryptionPages, r *http.Request, form url.Values, reason string) (string, error) {
				retention, err := time.ParseDuration(form.Get("retention"))
				if err != nil {
					return "", fault.Field("INVALID_RETENTION", "retention", "Choose how long a key must have been disabled.")
				}
				n, err := p.Rotation.Destroy(r.Context(), actor(r), retention, reason)
				return "Data keys destroyed: " + strconv.Itoa(n), err
			},
		},
		{
			name: "master", title: "Rotate the master key?", button: "Rotate master key", danger: true,
			consequence: "A new key file is made and every keyset is wrapped with the new key; the key before is kept beside it. It is done at once. Back up the new key file right after, apart from the database, and keep the one before as long as you keep older backups.",
			do: func(p encryptionPages, r *http.Request, _ url.Values, reason string) (string, error) {
				done, err := p.Rotation.RotateMaster(r.Context(), actor(r), reason)
				return "The master key is " + done.To + " now. Back up the new key file, apart from the database.", err
			},
		},
	}
}

func (p encryptionPages) show(w http.ResponseWriter, r *http.Request) error {
	status, err := p.Rotation.Status(r.Context(), actor(r))
	if err != nil {
		return err
	}
	view := keysView(status)
	view.Page, view.Now, view.Master.File = p.page(r, "Encryption keys", "encryption", rotation.Topic), p.Now(), p.cfg.KeyFile
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, rotationview.State(view))
	}
	return p.render(w, r, http.StatusOK, rotationview.Keys(view))
}

func keysView(s credentials.KeyStatus) rotationview.View {
	v := rotationview.View{
		Master:    rotationview.Master{Fingerprint: s.Fingerprint, Since: s.WrappedAt, Previous: s.Previous},
		Destroyed: s.Destroyed, Done: s.Done, Total: s.Total,
	}
	for _, k := range s.Keys {
		state := "opens"
		switch {
		case k.Primary:
			state = "seals"
		case k.Disabled:
			state = "disabled"
		}
		v.Keys = append(v.Keys, rotationview.Key{
			ID: strconv.FormatUint(uint64(k.ID), 10), State: state, CreatedAt: k.CreatedAt, ReplacedAt: k.ReplacedAt, DisabledAt: k.DisabledAt, Values: k.Values,
		})
	}
	for _, c := range s.Columns {
		v.Kinds = append(v.Kinds, rotationview.Kind{Label: c.Label, Table: c.Table, Done: c.Done, Total: c.Total})
	}
	if l := s.Last; l != nil {
		v.Rotation = &rotationview.Rotation{
			State: l.State, StartedAt: l.StartedAt, FinishedAt: l.FinishedAt, StartedBy: l.StartedBy, Failed: l.Failed, Left: s.Left,
		}
	}
	return v
}

func (p encryptionPages) ask(w http.ResponseWriter, r *http.Request, status int, q keyQuestion, form url.Values, problems map[string]string) error {
	view := rotationview.AskView{
		Page: p.page(r, q.button, "encryption"), Title: q.title, Consequence: q.consequence, Confirm: q.button, Danger: q.danger,
		Action: rotationview.Path + "/" + q.name, Reason: form.Get("reason"), Errors: problems,
	}
	if q.retention {
		view.Retentions = []rotationview.Option{{Value: "24h", Label: "1 day"}, {Value: "168h", Label: "7 days"}, {Value: "720h", Label: "30 days"}, {Value: "2160h", Label: "90 days"}}
		if view.Retention = form.Get("retention"); view.Retention == "" {
			view.Retention = "720h"
		}
	}
	return p.render(w, r, status, rotationview.Ask(view))
}

func (p encryptionPages) answer(w http.ResponseWriter, r *http.Request, q keyQuestion) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	var done string
	why, err := reason(form)
	if err == nil {
		err = p.Access.Confirm(r.Context(), actor(r), telemetry.NewSecret(form.Get("password")))
	}
	if err == nil {
		done, err = q.do(p, r, form, why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		setRetryAfter(w, err)
		return p.ask(w, r, status, q, form, messages)
	}
	p.Access.PutFlash(r.Context(), "ok", done)
	seeOther(w, r, rotationview.Path)
	return nil
}
