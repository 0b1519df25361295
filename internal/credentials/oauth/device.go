package oauth

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"switchgear/internal/webaddress"
)

// Device is a consent that a person gives on another device (RFC 8628 3.2).
type Device struct {
	// Code is a secret: it is what the token is asked for with.
	Code string
	// UserCode is what the person types in at VerificationURL. CompleteURL holds both; it may be empty.
	UserCode, VerificationURL, CompleteURL string
	// Interval is how long to wait between two polls; ExpiresIn is how long the codes are valid.
	Interval, ExpiresIn time.Duration
}

// String shows nothing of the codes.
func (d Device) String() string { return "device consent at " + strconv.Quote(d.VerificationURL) }

// Format implements fmt.Formatter for every verb.
func (d Device) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(d.String())) }

const (
	defaultDeviceInterval = 5 * time.Second // RFC 8628 3.2
	maxDeviceInterval     = time.Minute
	defaultDeviceLife     = 15 * time.Minute
	// slowDown is added to the interval when the server asks for it (RFC 8628 3.5).
	slowDown = 5 * time.Second
)

// StartDevice asks for a pair of codes.
func (c *Client) StartDevice(ctx context.Context, cfg Config) (Device, error) {
	form := url.Values{}
	addScopes(form, cfg.Scopes)
	if cfg.ClientSecret == "" || cfg.AuthStyle == "basic" {
		form.Set("client_id", cfg.ClientID)
	}
	a, err := c.post(ctx, cfg, StepDevice, cfg.DeviceURL, form)
	if err != nil {
		return Device{}, err
	}
	d := Device{
		Code: a.text("device_code"), UserCode: a.text("user_code"),
		VerificationURL: either(a.text("verification_uri"), a.text("verification_url")), // Google writes url.
		CompleteURL:     either(a.text("verification_uri_complete"), a.text("verification_url_complete")),
		Interval:        seconds(a.fields["interval"]), ExpiresIn: seconds(a.fields["expires_in"]),
	}
	if a.status/100 != 2 || d.Code == "" || d.UserCode == "" || !webURL(d.VerificationURL) {
		return Device{}, a.failure(StepDevice)
	}
	if !webURL(d.CompleteURL) {
		d.CompleteURL = ""
	}
	if d.Interval == 0 {
		d.Interval = defaultDeviceInterval
	}
	d.Interval = min(d.Interval, maxDeviceInterval)
	if d.ExpiresIn == 0 {
		d.ExpiresIn = defaultDeviceLife
	}
	return d, nil
}

// PollDevice asks once whether the person has consented. Until then the error has the code
// [CodePending], or [CodeSlowDown], after which the interval grows by [SlowDown].
func (c *Client) PollDevice(ctx context.Context, cfg Config, code string) (Token, error) {
	return c.token(ctx, cfg, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code}})
}

// SlowDown is the interval after the server asked to be asked less often.
func SlowDown(interval time.Duration) time.Duration { return min(interval+slowDown, maxDeviceInterval) }

// webURL reports whether a text may be shown as a link.
func webURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && webaddress.ValidPort(u) && u.User == nil
}
