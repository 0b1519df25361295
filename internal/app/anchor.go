package app

import (
	"context"
	"log/slog"
	"time"

	"switchgear/internal/audit"
)

// anchorInterval is how often the head of the audit chain goes to the log.
const anchorInterval = time.Hour

// anchorLogger writes the head of the audit chain to the log at start, every hour and at the end. Logs
// are kept elsewhere, so that rows cut off the end of the chain show against a line there:
// `console audit verify --anchor SEQ:MAC`.
type anchorLogger struct {
	audit  *audit.Log
	logger *slog.Logger
}

// Serve runs until ctx ends. It is a supervised worker.
func (a anchorLogger) Serve(ctx context.Context) error {
	tick := time.NewTicker(anchorInterval)
	defer tick.Stop()
	for {
		a.write(context.WithoutCancel(ctx))
		select {
		case <-ctx.Done():
			a.write(context.WithoutCancel(ctx))
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (a anchorLogger) write(ctx context.Context) {
	head, err := a.audit.Head(ctx)
	if err != nil {
		a.logger.LogAttrs(ctx, slog.LevelError, "audit anchor not written", slog.Any("error", err))
		return
	}
	a.logger.LogAttrs(ctx, slog.LevelInfo, "audit anchor", slog.Int64("seq", head.Seq), slog.String("mac", head.MAC))
}
