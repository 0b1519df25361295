package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// cleanup is a stack of teardown steps. A step is registered the moment the thing it tears down exists,
// so a set-up that fails half-way unwinds exactly what it had built, last first.
type cleanup struct {
	logger *slog.Logger
	steps  []cleanupStep
}

type cleanupStep struct {
	name string
	run  func(context.Context) error
}

// add registers a step. It runs before every step registered earlier.
func (c *cleanup) add(name string, run func(context.Context) error) {
	c.steps = append(c.steps, cleanupStep{name: name, run: run})
}

// addCloser registers a step that needs no context.
func (c *cleanup) addCloser(name string, closeIt func() error) {
	c.add(name, func(context.Context) error { return closeIt() })
}

// unwind runs every step once, last registered first, and joins their errors. One failing step does
// not keep the others from running.
func (c *cleanup) unwind(ctx context.Context) error {
	var errs []error
	for _, step := range slices.Backward(c.steps) {
		started := time.Now()
		if err := step.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", step.name, err))
		}
		c.logger.LogAttrs(ctx, slog.LevelDebug, "stopped", slog.String("part", step.name),
			slog.Int64("duration_ms", time.Since(started).Milliseconds()))
	}
	c.steps = nil
	return errors.Join(errs...)
}
