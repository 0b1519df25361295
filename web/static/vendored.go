package static

// Library is a third-party script that is shipped to the browser, unchanged.
type Library struct {
	// Name is the package's name at its source, File where it lies below js/vendor.
	Name, Version, Licence, File string
	// SHA256 is the checksum of the file in hexadecimal.
	SHA256 string
}

// Vendored lists the third-party scripts. js/vendor/README.md says the same for people, and a test
// compares both with the files.
func Vendored() []Library {
	return []Library{
		{Name: "htmx.org", Version: "2.0.11", Licence: "0BSD", File: "htmx-2.0.11.min.js", SHA256: "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"},
		{Name: "htmx-ext-sse", Version: "2.2.4", Licence: "0BSD", File: "htmx-ext-sse-2.2.4.js", SHA256: "3b5992a541619babefc4c169505af474df5c3039da51e59b96ccf9241ecd61d2"},
		{Name: "idiomorph", Version: "0.8.0", Licence: "0BSD", File: "idiomorph-ext-0.8.0.min.js", SHA256: "5811b9a7eda14878b7dab4378bf60432e1bb6f11fcfb970cc26540642650181e"},
		{Name: "uplot", Version: "1.6.32", Licence: "MIT", File: "uPlot-1.6.32.iife.min.js", SHA256: "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"},
	}
}
