package station

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Within gives a question that long to be answered. An error that comes later, while
// ctx goes on, is [ErrAway], unless it is the answer [ErrNotFound].
func Within(ctx context.Context, patience time.Duration, question func(ctx context.Context) error) error {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := question(short)
	if err != nil && !errors.Is(err, ErrNotFound) && short.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no answer for %v: %w: %w", patience, ErrAway, err)
	}
	return err
}
