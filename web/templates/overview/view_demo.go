package overview

// Demo is the demonstration, as the visitor sees it.
type Demo struct {
	// On is true while it is there.
	On bool
	// May offers to start and to end it.
	May bool
}

// Where the demonstration is started and ended.
const (
	DemoLoad   = "/demo/load"
	DemoRemove = "/demo/remove"
)

// The question before it is ended, on the page and in its dialog.
const (
	DemoQuestion    = "Remove the demonstration?"
	DemoConsequence = "The pretend provider and its calls stop, and the connections Demo shop, Demo payments and Demo partner are deleted, " +
		"with whatever you changed about them. Their API key is revoked. Nothing else is touched; the records of what happened stay."
	DemoConfirm = "Remove demonstration"
)
