package authtype

import "net/http"

// oauth2DeviceCode has a person consent on another device (RFC 8628).
type oauth2DeviceCode struct{}

// Kind implements Type.
func (oauth2DeviceCode) Kind() string { return "oauth2_device_code" }

// Label implements Type.
func (oauth2DeviceCode) Label() string { return "OAuth 2, consent on another device" }

// Grant implements Granted.
func (oauth2DeviceCode) Grant() string { return GrantDeviceCode }

// Fields implements Type.
func (oauth2DeviceCode) Fields() []Field {
	return oauth2Fields(Field{
		Key: "device_authorization_url", Label: "Device authorization URL", Type: FieldText, Required: true,
	})
}

func (t oauth2DeviceCode) check(values map[string]string) error { return checkOAuth2(t, values) }

// Apply implements Type.
func (oauth2DeviceCode) Apply(r *http.Request, use Use) error { return applyToken(r, use.Token) }
