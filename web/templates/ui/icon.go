package ui

// glyph is a line drawing on a 24 by 24 grid.
type glyph struct{ name, path string }

// glyphs are all icons. They are drawn for this console: one stroked path each, no fill.
func glyphs() []glyph {
	return []glyph{
		{"activity", "M3 12h4l3-8 4 16 3-8h4"},
		{"alert", "M12 4 2.5 20h19zM12 10v4M12 17v.01"},
		{"archive", "M4 8v12h16V8M2.5 4h19v4h-19zM10 12h4"},
		{"arrow-left", "M19 12H5M11 6l-6 6 6 6"},
		{"arrow-right", "M5 12h14M13 6l6 6-6 6"},
		{"ban", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.6 5.6l12.8 12.8"},
		{"bell", "M6 9a6 6 0 0 1 12 0c0 6 2 7 2 7H4s2-1 2-7M10 20h4"},
		{"book", "M5 4h12a2 2 0 0 1 2 2v14H7a2 2 0 0 1-2-2zM5 18a2 2 0 0 1 2-2h12"},
		{"check", "M4 12.5l5 5L20 6.5"},
		{"check-square", "M9 11l3 3 8-8M20 12v7H4V5h10"},
		{"chevron-down", "M6 9l6 6 6-6"},
		{"chevron-left", "M15 6l-6 6 6 6"},
		{"chevron-right", "M9 6l6 6-6 6"},
		{"chevron-up", "M6 15l6-6 6 6"},
		{"clock", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2"},
		{"copy", "M9 9h11v11H9zM5 15H4V4h11v1"},
		{"database", "M4 6c0-4 16-4 16 0s-16 4-16 0zM4 6v12c0 4 16 4 16 0V6M4 12c0 4 16 4 16 0"},
		{"download", "M12 3v12M7 11l5 5 5-5M4 20h16"},
		{"drill", "M12 3v6M12 15v6M3 12h6M15 12h6"},
		{"edit", "M4 20l1-5L16 4l4 4L9 19zM13.5 6.5l4 4"},
		{"external", "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6"},
		{"eye", "M2 12c4.5-9 15.5-9 20 0-4.5 9-15.5 9-20 0zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z"},
		{"eye-off", "M4 4l16 16M9.5 5.5C14 4.3 19 6.3 22 12c-.8 1.7-1.9 3.1-3.1 4.2M15 17.8C10 20 4.8 17.6 2 12c.9-1.9 2.1-3.4 3.5-4.5"},
		{"file", "M6 3h9l4 4v14H6zM9 12h7M9 16h7"},
		{"filter", "M3 5h18l-7 8v6l-4-2v-4z"},
		{"flag", "M5 21V4h13l-3 4.5 3 4.5H5"},
		{"globe", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18"},
		{"grid", "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z"},
		{"history", "M3.5 9A9 9 0 1 1 3 12M3 4v5h5M12 7v5l3.5 2"},
		{"inbox", "M3 13h5l1.5 3h5L16 13h5M3 13l3-8h12l3 8v6H3z"},
		{"info", "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8v.01"},
		{"key", "M15 4a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11.5 12.5L4 20M6 18l2 2M9 15l2 2"},
		{"laptop", "M5 5h14v10H5zM2 19h20"},
		{"link", "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7l-1.5 1.5M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5"},
		{"list", "M4 6h16M4 12h16M4 18h10"},
		{"lock", "M5 11h14v10H5zM8 11V8a4 4 0 0 1 8 0v3"},
		{"mail", "M3 5h18v14H3zM3 7l9 7 9-7"},
		{"menu", "M4 7h16M4 12h16M4 17h16"},
		{"minus", "M5 12h14"},
		{"monitor", "M3 4h18v12H3zM8 20h8M12 16v4"},
		{"moon", "M20 14A8.5 8.5 0 0 1 10 4a8.5 8.5 0 1 0 10 10z"},
		{"pause", "M8 5v14M16 5v14"},
		{"play", "M7 4l13 8-13 8z"},
		{"plug", "M9 7V4m6 3V4M7 7h10v4a5 5 0 0 1-10 0zM12 16v4"},
		{"plus", "M12 5v14M5 12h14"},
		{"refresh", "M4 12a8 8 0 0 1 14-5l2 2M20 5v4h-4M20 12a8 8 0 0 1-14 5l-2-2M4 19v-4h4"},
		{"rotate-left", "M4 9h10a5.5 5.5 0 0 1 0 11H8M8 4.5L3.5 9 8 13.5"},
		{"search", "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5"},
		{"send", "M21 3L3 10l7 3 3 7zM21 3L10 13"},
		{"server", "M4 4h16v7H4zM4 13h16v7H4zM8 7.5v.01M8 16.5v.01"},
		{"settings", "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2"},
		{"shield", "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM8.5 12l2.5 2.5 4.5-5"},
		{"sign-out", "M10 4H4v16h6M9 12h12M17 8l4 4-4 4"},
		{"sun", "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M19 5l-1.5 1.5M6.5 17.5L5 19"},
		{"tag", "M3 7h13l5 5-5 5H3zM8 12h5"},
		{"trash", "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6"},
		{"user", "M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-6 15-6 16 0"},
		{"user-plus", "M10 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c1-6 15-6 16 0M19 6v6M16 9h6"},
		{"users", "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM1.5 20c1-6 14-6 15 0M16 3.5a4 4 0 0 1 0 7.3M18.5 14.5c2.2.7 3.7 2.5 4 5.5"},
		{"x", "M6 6l12 12M18 6L6 18"},
		{"zap", "M13 3 5 14h6l-1 7 8-11h-6z"},
	}
}

// IconNames lists every icon.
func IconNames() []string {
	all := glyphs()
	names := make([]string, len(all))
	for i, g := range all {
		names[i] = g.name
	}
	return names
}

// glyphPath is the drawing of a name; an unknown name is a small circle, so that a page never breaks
// over an icon.
func glyphPath(name string) string {
	for _, g := range glyphs() {
		if g.name == name {
			return g.path
		}
	}
	return "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z"
}
