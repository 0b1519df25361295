// Package webaddress judges the parts of web addresses that people enter and that parsing lets through.
package webaddress

import (
	"net/url"
	"strconv"
	"strings"
)

// ValidPort reports whether the port of an address can be dialled and is written as everybody writes it: none at all,
// or a number from 1 to 65535 without leading zeros. A colon without a port is none of them.
func ValidPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}
