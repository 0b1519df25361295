package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"switchgear/internal/app"
	"switchgear/internal/fault"
)

type rotateKeysCommand struct {
	Master   bool   `help:"Replace the master key in its file instead of the data key. The one before is kept beside it."`
	Status   bool   `help:"Change nothing; print how the keys are and how far a rotation is."`
	Pause    bool   `help:"Stop sealing older values with the new data key, until --resume."`
	Resume   bool   `help:"Go on with a rotation that was paused."`
	Destroy  bool   `help:"Remove the data keys for good that have been disabled for the time of --retained."`
	Retained string `help:"How long a data key must have been disabled to be destroyed: 30d, 720h … Required with --destroy." placeholder:"TIME"`
	Reason   string `help:"Why; it goes into the audit log."`
	JSON     bool   `help:"Print JSON."`
}

func (c rotateKeysCommand) run(ctx context.Context, env environment) error {
	req, err := c.request()
	if err != nil {
		return err
	}
	res, err := app.Administer(ctx, env.config, env.logger(), app.RotateKeys(), req)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.std.out, res)
	}
	return printKeys(env.std.out, req.What, res)
}

func (c rotateKeysCommand) request() (app.KeyRotate, error) {
	req := app.KeyRotate{What: app.RotateData, Reason: c.Reason}
	chosen := 0
	for what, given := range map[string]bool{
		app.RotateMaster: c.Master, app.RotateStatus: c.Status, app.RotatePause: c.Pause, app.RotateResume: c.Resume, app.RotateDestroy: c.Destroy,
	} {
		if given {
			req.What = what
			chosen++
		}
	}
	if chosen > 1 {
		return req, fault.Field("CONFLICTING_FLAGS", "--master", "choose one of --master, --status, --pause, --resume and --destroy")
	}
	if c.Destroy != (c.Retained != "") {
		return req, fault.Field("RETENTION_MISSING", "--retained", "--destroy and --retained go together: say how long a key must have been disabled, such as --retained 30d")
	}
	if c.Retained == "" {
		return req, nil
	}
	retention, err := parseLifetime(c.Retained)
	if err != nil {
		return req, fault.Field("INVALID_RETENTION", "--retained", "write 30d or 720h")
	}
	req.Retention = retention
	return req, nil
}

func printKeys(out io.Writer, what string, res app.KeysRotated) error {
	_, _ = fmt.Fprintf(out, "master key %s\n", res.Master)
	if len(res.Previous) > 0 {
		_, _ = fmt.Fprintf(out, "previous   %s\n", strings.Join(res.Previous, ", "))
	}
	switch {
	case what == app.RotateMaster:
		_, _ = fmt.Fprintf(out, "\nThe master key is replaced. Back up the new key file now.\nThe key before is in %s: older backups need it.\n", res.PreviousFile)
	case res.Destroyed > 0:
		_, _ = fmt.Fprintf(out, "\nData keys destroyed: %d\n", res.Destroyed)
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nDATA KEY\tSTATE\tCREATED\tVALUES")
	for _, k := range res.DataKeys {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\n", k.ID, k.State, k.CreatedAt.UTC().Format(time.RFC3339), k.Values)
	}
	_, _ = fmt.Fprintln(table, "\nVALUES\tDONE\tOF")
	for _, v := range res.Values {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\n", v.Kind, v.Done, v.Total)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "\n"+progress(res))
	return err
}

// progress says in a sentence how far the rotation of the data key is.
func progress(res app.KeysRotated) string {
	r := res.Rotation
	switch {
	case r == nil:
		return "The data key has not been rotated yet."
	case r.State == "done" && r.Failed > 0:
		return fmt.Sprintf("The last rotation of the data key has ended. Values that did not open and were left as they are: %d", r.Failed)
	case r.State == "done":
		return "The last rotation of the data key has ended: " + r.FinishedAt.UTC().Format(time.RFC3339) + "."
	case r.State == "paused":
		return fmt.Sprintf("The rotation of the data key is paused: %d of %d values. Go on with --resume.", res.Done, res.Total)
	case !res.Server:
		return fmt.Sprintf("The rotation of the data key is not finished: %d of %d values. Run the command again, or start the console.", res.Done, res.Total)
	case r.SecondsLeft > 0:
		return fmt.Sprintf("The rotation of the data key runs in the console: %d of %d values, about %s left. See --status.", res.Done, res.Total, time.Duration(r.SecondsLeft)*time.Second)
	}
	return fmt.Sprintf("The rotation of the data key runs in the console: %d of %d values. See --status.", res.Done, res.Total)
}
