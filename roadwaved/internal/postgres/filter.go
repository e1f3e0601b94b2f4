package postgres

import (
	"slices"
	"strconv"
	"strings"
)

// A filter is the WHERE of a list, with its arguments.
type filter struct {
	conditions []string
	args       []any
}

// and adds a condition with a ? for each argument.
func (f *filter) and(condition string, args ...any) {
	for _, arg := range args {
		condition = strings.Replace(condition, "?", f.arg(arg), 1)
	}
	f.conditions = append(f.conditions, condition)
}

// among adds that a column has one of the words that were asked for. They are
// written into the SQL, so that the planner can tell in which partial index
// they are; those it does not know are in no row.
func among[S ~string](f *filter, column string, known, asked []S) {
	var words []string
	for _, k := range known {
		if slices.Contains(asked, k) {
			words = append(words, "'"+string(k)+"'")
		}
	}
	switch len(words) {
	case 0:
		f.and("false")
	case 1:
		f.and(column + " = " + words[0])
	default:
		f.and(column + " IN (" + strings.Join(words, ", ") + ")")
	}
}

// arg adds an argument and gives its name.
func (f *filter) arg(value any) string {
	f.args = append(f.args, value)
	return "$" + strconv.Itoa(len(f.args))
}

// where joins the conditions, of which there may be none.
func (f *filter) where() string {
	if len(f.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.conditions, " AND ")
}
