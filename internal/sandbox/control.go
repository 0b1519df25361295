package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// controlPrefix is where the control API is; what happens below it is not noted as received.
const controlPrefix = "/_control/"

// controlScripts is the body of PUT /_control/scripts.
type controlScripts struct {
	Scripts []Script `json:"scripts"`
}

// control answers the control API. A token in a header cannot be sent by a foreign page in a browser, and
// without one that is configured nothing is there.
func (s *Sandbox) control(w http.ResponseWriter, r *http.Request) {
	result, err := s.controlled(r)
	if err != nil {
		fault.WriteJSON(w, r, err, telemetry.RequestID(r.Context()))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write(encode(result)); err != nil {
		s.logger.DebugContext(r.Context(), "control answer not sent", "error", err)
	}
}

func (s *Sandbox) controlled(r *http.Request) (any, error) {
	if s.cfg.ControlToken == "" {
		return nil, fault.New(fault.NotFound, "", "The sandbox has nothing at this path.")
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !same(token, s.cfg.ControlToken) {
		return nil, fault.New(fault.Unauthenticated, "", "The control token is missing or wrong.")
	}
	done := map[string]string{"status": "done"}
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, controlPrefix) {
	case "GET scripts":
		return map[string]any{"scripts": s.Scripts()}, nil
	case "PUT scripts":
		var in controlScripts
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		return done, s.SetScripts(in.Scripts...)
	case "DELETE scripts":
		return done, s.SetScripts()
	case "GET received":
		q := ReceivedQuery{Method: r.URL.Query().Get("method"), Path: r.URL.Query().Get("path")}
		if after := r.URL.Query().Get("after"); after != "" {
			var err error
			if q.After, err = strconv.ParseInt(after, 10, 64); err != nil {
				return nil, fault.Field("INVALID_AFTER", "after", "This must be the seq of a request.")
			}
		}
		found := s.Received(q)
		if found == nil {
			found = []Received{}
		}
		return map[string]any{"received": found}, nil
	case "DELETE received":
		s.ForgetReceived()
		return done, nil
	case "POST reset":
		s.Reset()
		return done, nil
	case "POST webhooks":
		var in Webhook
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		results, err := s.SendWebhook(r.Context(), in)
		return map[string]any{"results": results}, err
	}
	return nil, fault.New(fault.NotFound, "", "The control API has nothing at this path.")
}

// decode reads a JSON body; a member that is not known is a mistake.
func decode(r *http.Request, into any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "", "The body could not be read.")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.Wrap(err, fault.Invalid, "INVALID_JSON", "The body is not what is expected: "+err.Error())
	}
	return nil
}
