package station

import "context"

// MaxPage is the most that one list query gives.
const MaxPage = 200

// defaultPage is what a list query gives that sets no limit.
const defaultPage = 50

// PageSize is the number of rows that the Limit of a query stands for: the
// default for zero, MaxPage for more than that.
func PageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, MaxPage)
}

// EachJob calls f for every job of a query, whatever its limit, and reads one
// page of them at a time by list, which is or wraps [Jobs.ListJobs]. The first
// error of either ends it.
func EachJob(ctx context.Context, list func(context.Context, JobQuery) ([]Job, error), q JobQuery, f func(Job) error) error {
	q.Limit = MaxPage
	return eachPage(
		func() ([]Job, error) { return list(ctx, q) },
		func(last Job) { q.After, q.AfterID = last.Opened, last.LiveID },
		f)
}

// eachPage calls f for everything on all pages of a list. Each is asked for by
// list; turn makes the next one begin after the last thing of the one before.
func eachPage[T any](list func() ([]T, error), turn func(last T), f func(T) error) error {
	for {
		page, err := list()
		if err != nil {
			return err
		}
		for _, v := range page {
			if err := f(v); err != nil {
				return err
			}
		}
		if len(page) < MaxPage {
			return nil
		}
		turn(page[len(page)-1])
	}
}
