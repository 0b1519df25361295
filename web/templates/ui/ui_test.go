package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestURL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ got, want string }{
		"no pairs":          {URL("/users"), "/users"},
		"empty left out":    {URL("/users", "q", "", "role", "a b"), "/users?role=a+b"},
		"odd pairs":         {URL("/users", "q"), "/users"},
		"change":            {change("/users?q=a&page=3", "sort", "-email", "page", ""), "/users?q=a&sort=-email"},
		"change to nothing": {change("/users?page=3", "page", ""), "/users"},
		"broken query":      {change("/users?%zz", "sort", "x"), "/users?sort=x"},
	}
	for name, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", name, tt.got, tt.want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -4321: "-4,321", -100: "-100"} {
		if got := Thousands(n); got != want {
			t.Errorf("Thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestRelative(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	tests := []struct {
		ago  time.Duration
		want string
	}{
		{0, "just now"},
		{9 * time.Second, "just now"},
		{-9 * time.Second, "just now"},
		{10 * time.Second, "10 s ago"},
		{59 * time.Second, "59 s ago"},
		{time.Minute, "1 min ago"},
		{59*time.Minute + 59*time.Second, "59 min ago"},
		{time.Hour, "1 h ago"},
		{47 * time.Hour, "47 h ago"},
		{48 * time.Hour, "2 d ago"},
		{59 * 24 * time.Hour, "59 d ago"},
		{60 * 24 * time.Hour, "2026-01-13"},
		{-time.Hour, "in 1 h"},
		{-59 * time.Second, "in 59 s"},
		{-(59*time.Minute + 31*time.Second), "in 1 h"},
		{-(7*24*time.Hour - time.Second), "in 7 d"},
		{-(6*24*time.Hour + 11*time.Hour), "in 6 d"},
		{-(47*time.Hour + 40*time.Minute), "in 2 d"},
		{-(60*24*time.Hour - time.Second), "2026-05-13"},
		{-60 * 24 * time.Hour, "2026-05-13"},
	}
	for _, tt := range tests {
		if got := relative(now.Add(-tt.ago), now); got != tt.want {
			t.Errorf("%s ago: %q, want %q", tt.ago, got, tt.want)
		}
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	for ahead, want := range map[time.Duration]string{
		0:                             "0 s",
		59 * time.Second:              "59 s",
		119 * time.Second:             "1 min 59 s",
		47*time.Hour + time.Minute:    "47 h 1 min",
		7*24*time.Hour - time.Second:  "7 d",
		6*24*time.Hour + 11*time.Hour: "6 d",
	} {
		if got := remaining(now.Add(ahead), now); got != want {
			t.Errorf("%s ahead: %q, want %q", ahead, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	for ago, want := range map[time.Duration][2]string{
		-time.Second:               {"0 s", "09:26 UTC"},
		0:                          {"0 s", "09:26 UTC"},
		59*time.Second + 999999999: {"59 s", "09:25 UTC"},
		time.Minute:                {"1 min", "09:25 UTC"},
		time.Hour - 1:              {"59 min", "08:26 UTC"},
		10 * time.Hour:             {"10 h", "13 Mar 23:26 UTC"},
		48*time.Hour - 1:           {"47 h", "12 Mar 09:26 UTC"},
		49 * time.Hour:             {"2 days", "12 Mar 08:26 UTC"},
		365 * 24 * time.Hour:       {"365 days", "14 Mar 09:26 UTC"},
	} {
		if got := [2]string{age(now.Add(-ago), now), clockTime(now.Add(-ago), now)}; got != want {
			t.Errorf("%s ago: %q, want %q", ago, got, want)
		}
	}
}

func TestSortLinks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sort      string
		column    Column
		direction string
		url       string
	}{
		"not sorted":            {"name", Column{Sort: "email"}, "none", "/u?sort=email"},
		"not sorted, times":     {"name", Column{Sort: "at", Descending: true}, "none", "/u?sort=-at"},
		"ascending turns":       {"email", Column{Sort: "email"}, "ascending", "/u?sort=-email"},
		"descending turns back": {"-at", Column{Sort: "at", Descending: true}, "descending", "/u?sort=at"},
	}
	for name, tt := range tests {
		table := Table{URL: "/u?page=4", Sort: tt.sort}
		if d, u := table.direction(tt.column), table.sortURL(tt.column); d != tt.direction || u != tt.url {
			t.Errorf("%s: %s, %s, want %s, %s", name, d, u, tt.direction, tt.url)
		}
	}
}

func TestPagination(t *testing.T) {
	t.Parallel()
	tests := []struct {
		number, total int
		text          string
		shown         []int
	}{
		{1, 14, "14 things", []int{1}},
		{1, 130, "1–50 of 130 things", []int{1, 2, 3}},
		{3, 130, "101–130 of 130 things", []int{1, 2, 3}},
		{40, 12481, "1,951–2,000 of 12,481 things", []int{1, 0, 39, 40, 41, 0, 250}},
		{9, 130, "Nothing on this page; there are 130 things", []int{1, 0, 3}},
	}
	for _, tt := range tests {
		p := Pagination{URL: "/u", Number: tt.number, Limit: 50, Total: tt.total, Noun: "things"}
		if got := p.text(); got != tt.text {
			t.Errorf("page %d of %d: %q, want %q", tt.number, tt.total, got, tt.text)
		}
		if diff := cmp.Diff(tt.shown, p.shown()); diff != "" {
			t.Errorf("page %d of %d (-want +got):\n%s", tt.number, tt.total, diff)
		}
	}
	// A page number typed by hand must not cost time.
	if got := (Pagination{Number: 1_000_000, Limit: 1, Total: 2_000_000_000}).shown(); len(got) != 7 {
		t.Errorf("shown = %v", got)
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		points []float64
		want   string
	}{
		"none":   {nil, ""},
		"one":    {[]float64{5}, "0,22 120,22"},
		"flat":   {[]float64{3, 3}, "0,22 120,22"},
		"rising": {[]float64{0, 1, 2}, "0,22 60,12 120,2"},
	}
	for name, tt := range tests {
		if got := (Sparkline{Points: tt.points}).line(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestMeterTones(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]Tone{-1: ToneAccent, 0: ToneAccent, 79: ToneAccent, 80: ToneWarn, 99.9: ToneWarn, 100: ToneBad, 500: ToneBad} {
		if got := (Meter{Value: value, Max: 100}).tone(); got != want {
			t.Errorf("%v of 100: %q, want %q", value, got, want)
		}
	}
}

func TestJSONKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	root, ok := parseJSON(`{"b":1e400,"a":[12345678901234567890,"<&>"],"a":null}`)
	if !ok {
		t.Fatal("not parsed")
	}
	var got []string
	var walk func(n jsonNode)
	walk = func(n jsonNode) {
		got = append(got, n.name+"="+n.text)
		for _, c := range n.children {
			walk(c)
		}
	}
	walk(root)
	want := []string{"={}", "b=1e400", "a=[]", "=12345678901234567890", `="<&>"`, "a=null"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	for name, source := range map[string]string{
		"empty": "", "two values": "1 2", "broken": `{"a":`, "wrong bracket": `[1}`, "too many": "[" + strings.Repeat("1,", maxJSONNodes) + "1]", "too deep": strings.Repeat("[", 100) + strings.Repeat("]", 100),
	} {
		if _, ok := parseJSON(source); ok {
			t.Errorf("%s: parsed", name)
		}
	}
}

func FuzzJSONView(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x",null,{"b":true}]}`, `"</script><b>"`, "{", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		var b strings.Builder
		if err := (JSONView{Source: source}).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(source, "<x") && strings.Contains(b.String(), "<x") {
			t.Error("the text is not escaped")
		}
	})
}

func TestSoFar(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ counts, want []float64 }{
		"a minute that runs":         {[]float64{5, 6, 2}, []float64{5, 6}},
		"as many already":            {[]float64{5, 6, 6}, []float64{5, 6, 6}},
		"more already":               {[]float64{5, 6, 9}, []float64{5, 6, 9}},
		"nothing but what runs":      {[]float64{2}, []float64{2}},
		"nothing":                    {nil, nil},
		"the first calls since long": {[]float64{0, 0, 1}, []float64{0, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, SoFar(c.counts)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
