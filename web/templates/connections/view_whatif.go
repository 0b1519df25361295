package connections

import "time"

// WhatIf is the answer below the form of a policy, or how far it is. Its region is RegionWhatIf. The question
// is posted to /connections/{slug}/what-if with the fields of the form; a replay under way is fetched from
// /connections/{slug}/what-if/{Job} and taken back by a post to …/cancel.
type WhatIf struct {
	Slug string
	// Problem says why there is no answer.
	Problem string
	// Job is a replay under way: Step counts how often was looked, Done and Of are calls.
	Job            string
	Step, Done, Of int
	Result         *WhatIfResult
}

// WhatIfResult compares what the settings in force and the edited ones would have done.
type WhatIfResult struct {
	Now time.Time
	// Summary is the answer in a sentence, Better whether it deserves attention.
	Summary string
	// Version is the one whose settings were tried, 0 for edited ones.
	Version     int
	Empty       bool
	From, Until time.Time
	// Calls were replayed, Unknown of them had been refused at the time.
	Calls, Unknown  int
	Rows            []WhatIfRow
	Present, Edited []WhatIfOpening
	Caveats         []string
}

// WhatIfRow is one figure under both policies.
type WhatIfRow struct{ Label, Present, Edited string }

// WhatIfOpening is one time that a breaker opened. Operation is empty for that of the connection.
type WhatIfOpening struct {
	At        time.Time
	For       time.Duration
	Operation string
	Reason    string
}
