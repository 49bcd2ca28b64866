package target

import (
	"fmt"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Render renders a notification. A panic of the provider becomes an error: no event
// may end the collector.
func Render(provider notify.Provider, n *notify.Notification) (_ []notify.Payload, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a defect of this provider type: %v", r)
		}
	}()
	return provider.Render(n)
}
