package gitstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// What one evaluation may take. A name is put together in some hundred units,
// where reading a field is one; the time is for what the units do not measure.
const (
	maxCost   = 100_000
	maxTime   = time.Second
	interrupt = 100 // steps of a loop between two looks at the clock
)

// expression is what an operator wants a status to be known by.
type expression struct {
	program  cel.Program
	provider map[string]any
}

// compile checks an expression as far as can be told without an event. The
// functions are those that Flux offers.
func compile(s notify.Settings) (*expression, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	env, err := cel.NewEnv(
		cel.Variable("event", object), cel.Variable("alert", object), cel.Variable("provider", object),
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	if err != nil {
		return nil, fmt.Errorf("commit_status_expr: %w", err)
	}
	ast, issues := env.Compile(s.CommitStatusExpr)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("commit_status_expr: %s", oneLine(err))
	}
	// As in Flux, it is the value that has to be a string, when there is one; but
	// who can tell before then ought to say so.
	if t := ast.OutputType(); !t.IsExactType(cel.StringType) && !t.IsExactType(cel.DynType) {
		s.Logger.Warn(fmt.Sprintf("commit_status_expr: gives a value of the type %s, must give a string; until then its notifications fail", t))
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interrupt))
	if err != nil {
		return nil, fmt.Errorf("commit_status_expr: %s", oneLine(err))
	}
	return &expression{program: program, provider: map[string]any{
		"apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
		"kind":       "Provider",
		"metadata":   map[string]any{"name": s.Name, "namespace": s.Namespace, "uid": s.UID},
		"spec":       map[string]any{"type": s.Type, "address": s.Address, "username": s.Username, "commitStatusExpr": s.CommitStatusExpr},
	}}, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// evaluate gives the name for one notification.
func (x *expression) evaluate(n *notify.Notification) (string, error) {
	event, err := asObject(n)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	value, _, err := x.program.ContextEval(ctx, map[string]any{
		"event": event, "provider": x.provider,
		"alert": map[string]any{
			"apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
			"kind":       "Alert",
			"metadata":   map[string]any{"name": n.Alert.Name, "namespace": n.Alert.Namespace, "uid": n.Alert.UID},
		},
	})
	if err != nil {
		return "", fmt.Errorf("commit_status_expr: %s", oneLine(err))
	}
	name, ok := value.(types.String)
	if !ok {
		return "", fmt.Errorf("commit_status_expr: gave a value of the type %s, must give a string", value.Type().TypeName())
	}
	if strings.TrimSpace(string(name)) == "" {
		return "", errors.New("commit_status_expr: gave an empty string, a status needs a name")
	}
	return string(name), nil
}

// asObject is the event as its JSON says it, with the metadata that the alert
// has combined.
func asObject(n *notify.Notification) (map[string]any, error) {
	body, err := n.EventJSON()
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, errors.New("the event cannot be read as JSON")
	}
	return object, nil
}
