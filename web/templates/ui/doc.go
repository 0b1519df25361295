// Package ui is the design system of the console: every button, table, field and chart of its pages.
//
// A component is a struct that is itself a templ.Component: fill in what is needed, the zero value of
// every other field is sensible. Components that go around a block have a Wrap method:
//
//	@ui.Button{Label: "Invite", Kind: ui.ButtonPrimary, Icon: "user-plus", Href: "/users/invite"}
//
//	@ui.Card{Title: "Sessions", Flush: true}.Wrap() {
//		@ui.Table{…}
//	}
//
// Because they are values, components are also the cells of tables, the actions of headers and the
// values of fact lists: []templ.Component{ui.Name("Ada", "/users/1", "ada@example.com"), ui.Chip{…}}.
//
// Invariants: no inline script or style, so widths and colours of drawings are SVG attributes and
// classes; everything works without JavaScript; colour never stands alone (an icon and a word go with
// it); all text is escaped; every state is listed in the gallery, which the golden and accessibility
// tests walk through. Features write no classes of their own for what is here.
//
// Page
//
//	PageHeader{Title, Sub, Crumbs, Status, Meta, Live, Actions}   top of every page
//	Tabs{Label, Items}                                            parts of one thing, each with its address
//	Card{Title, Sub, Actions, Flush, Tone, Body, Foot}[.Wrap()]   bordered part of a page
//	Columns() Stack() Narrow() Prose()                            blocks: side by side, stacked, form width, text
//	Actions(buttons...)                                           a row of buttons
//	KeyValue{Items: []Fact{{Key, Value, Hint}}, Wide}             facts
//	EmptyState{Icon, Title, Text, Actions}                        nothing yet, and what to do next
//	Notice{Tone, Subject, Title, Text, Actions, Announce}[.Wrap()] a sentence with its action
//	Toast{Tone, Text}, Toasts()                                   short messages (the frame holds the list)
//
// Text (also for cells)
//
//	Text(s) Muted(s) Strong(s) Mono(s) Long(s) Number(n) Link(label, href)
//	Name(title, href, sub)                                        first cell of a row
//	Group(parts...) Lines(parts...)                               several parts in one cell
//	RelTime(t, now) RelTimeOr(t, now, "never") Time(t)            times
//	Countdown(t, now)                                             how long it is until t
//	MonoID{ID, Href, Short, What} CopyButton{Value, What, Label}  ids with a copy button
//	Chip{Label, Tone, Icon, Title, More} Badge{Label, Tone, Mono} status; label without judgement
//	Icon(name) Logo() IconNames()                                 line icons
//
// Lists
//
//	Table{Caption, Columns, Rows, Empty, URL, Sort, Roomy}        rows become cards on a phone
//	Filters{URL, Search, Placeholder, Pills, Fields, Region}      search, pills and selects as a GET form
//	Pagination{URL, Number, Limit, Total, Noun}
//	Continue(id, region, url)                                     goes on with a long search by itself
//	URL(path, key, value, …)                                      the address the three above share
//
// Forms
//
//	Form{Action, Submit, Cancel, Errors, Hidden, Full}.Wrap()     with a summary of what is wrong
//	Field{Name, Label, Type, Value, Options, Hint, Error, …}      text, email, password, number, date, url,
//	                                                              select, textarea, checkbox, checks, radios
//	Button{Label, Kind, Icon, Href, Opens, Disabled, …}           link or submit; Disabled says why
//	PostButton{Action, Button, Hidden}                            a form of one button
//	Confirm{Title, Consequence, Button, Action, Cancel, Reason…}  the question as a page
//	Dialog{ID, Confirm}[.Wrap()]                                  the same over the page; Button.Opens = ID
//	SecretOnce{Label, Value, Text}                                a secret, shown once
//
// Figures
//
//	Stats{Tiles} StatTile{Label, Value, Unit, ID, Href, Points, Tone}
//	Sparkline{Points, Tone, Label, Small} Ribbon{Slices, Label}
//	Meter{Value, Max, Label, Text, Tone} Ring{Done, Total, Label, Tone}
//	Meters{Items} MeterLine{Label, Value, Max, Mark, Text, Tone}  limits and thresholds below each other
//	Machine{Nodes, Forward, Back, Return, Label}                  three states and what leads from one to the next
//	Progress{Label, Done, Total} Steps{Items} Skeleton(lines) Spinner()
//
// Evidence
//
//	CodeView{ID, Title, Text, Wrap} JSONView{ID, Title, Source, Open, Raw}
//	DiffView{Title, Lines} Timeline{Now, Entries}
//
// Live
//
//	LiveRegion(id, topics, url) { … }                             fetches itself again when a topic changes
//	PollRegion(id, url, every) { … }                              fetches itself again every so often
//	LiveStream(topics, since) LiveIndicator() LivePause()         used by the frame and PageHeader
//
// Gallery
//
//	State{Name, Group, View, Page}                                one named state of a page or component
package ui
