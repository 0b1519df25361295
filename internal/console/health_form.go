package console

import (
	"net/http"
	"net/url"
	"strconv"

	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	connectionsview "switchgear/web/templates/connections"
)

// healthSettings are the fields of the health check in the form, with how the policy names them.
func healthSettings(h *connectionsview.HealthForm) map[string]*string {
	return map[string]*string{
		"enabled": &h.Enabled, "path": &h.Path, "method": &h.Method, "every": &h.Every, "timeout": &h.Timeout, "expected_status": &h.ExpectedStatus,
	}
}

// enteredHealth reads the health check of a form.
func enteredHealth(form url.Values) (h connectionsview.HealthForm) {
	for name, value := range healthSettings(&h) {
		*value = form.Get("policy.health_check." + name)
	}
	return h
}

// splitHealth takes the fields of the health check out of a policy.
func splitHealth(h *connectionsview.HealthForm, policy map[string]any) {
	check, ok := policy["health_check"].(map[string]any)
	if !ok {
		return
	}
	for name, value := range healthSettings(h) {
		switch v := check[name].(type) {
		case string:
			*value = v
		case bool:
			*value = strconv.FormatBool(v)
		case float64:
			*value = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			continue
		}
		delete(check, name)
	}
	if len(check) == 0 {
		delete(policy, "health_check")
	}
}

// putHealth lays what was entered over a policy.
func putHealth(h connectionsview.HealthForm, policy map[string]any) error {
	check, ok := policy["health_check"].(map[string]any)
	if !ok {
		check = map[string]any{}
	}
	for name, value := range healthSettings(&h) {
		if *value == "" {
			continue
		}
		switch name {
		case "enabled":
			check[name] = *value == "true"
		case "expected_status":
			n, err := strconv.Atoi(*value)
			if err != nil {
				return fault.Field("INVALID_POLICY", "policy.health_check."+name, "Write a status such as 204.").WithValue(*value)
			}
			check[name] = n
		default:
			check[name] = *value
		}
	}
	if len(check) > 0 {
		policy["health_check"] = check
	}
	return nil
}

// healthDefaults are what empty fields stand for, and where that comes from.
func healthDefaults(provider providers.Provider) map[string]connectionsview.HealthDefault {
	out := map[string]connectionsview.HealthDefault{}
	effective, err := connections.ProviderPolicy(provider)
	if err != nil {
		return out // no connection of this provider can be made, which saving says
	}
	for _, s := range runtime.Explain(effective, "product", connections.ProviderLayers(provider)...) {
		out[s.Path] = connectionsview.HealthDefault{Value: s.Value, Origin: s.Origin}
	}
	return out
}

// checkSaved sends the health check of the saved connection, and shows the form again as it was entered.
func (p connectionPages) checkSaved(w http.ResponseWriter, r *http.Request, c connections.Connection, view connectionsview.FormView) error {
	kind, message, err := healthPages(p).checked(r, c)
	if err != nil {
		return err
	}
	if kind != "ok" {
		view.Health.Problem = message
	}
	view.Health.Check = healthPages(p).lastCheck(c.ID)
	return p.render(w, r, http.StatusOK, connectionsview.Form(view))
}
