package googlepubsub

import (
	"google.golang.org/api/option"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Reach has a provider's client made with these options in place of those that
// lead to Google.
func Reach(p notify.Provider, options ...option.ClientOption) {
	p.(*Provider).dial.further = options
}
