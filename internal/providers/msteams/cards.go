package msteams

import "github.com/fluxnotify/otelcol-flux/internal/text"

// content is what both cards tell.
type content struct {
	// name is the object's in markdown, plainName as it is.
	name, plainName string
	message         string
	facts           []text.Entry
	isError         bool
}

type adaptiveMessage struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string   `json:"contentType"`
	Content     adaptive `json:"content"`
}

type adaptive struct {
	Schema  string      `json:"$schema"`
	Type    string      `json:"type"`
	Version string      `json:"version"`
	MSTeams teams       `json:"msteams"`
	Body    []container `json:"body"`
}

type teams struct {
	Width string `json:"width"`
}

type container struct {
	Type  string `json:"type"`
	Items []any  `json:"items"`
}

type textBlock struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
	Wrap   bool   `json:"wrap"`
}

type factSet struct {
	Type  string `json:"type"`
	Facts []fact `json:"facts"`
}

type fact struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

// adaptiveCard is the message for workflows, the summary first of its facts.
func adaptiveCard(c *content) any {
	title := textBlock{Type: "TextBlock", Text: c.name, Size: "large", Weight: "bolder", Wrap: true}
	message := textBlock{Type: "TextBlock", Text: c.message, Wrap: true}
	if c.isError {
		message.Color = "attention"
	}
	facts := make([]fact, 0, len(c.facts))
	for _, first := range []bool{true, false} {
		for _, f := range c.facts {
			if (f.Key == summary) == first {
				facts = append(facts, fact{Title: f.Key, Value: f.Value})
			}
		}
	}
	return adaptiveMessage{Type: "message", Attachments: []attachment{{
		ContentType: "application/vnd.microsoft.card.adaptive",
		Content: adaptive{
			Schema:  "http://adaptivecards.io/schemas/adaptive-card.json",
			Type:    "AdaptiveCard",
			Version: "1.4",
			MSTeams: teams{Width: "Full"},
			Body: []container{{Type: "Container", Items: []any{
				&title, &message, &factSet{Type: "FactSet", Facts: facts},
			}}},
		},
	}}}
}

type connectorMessage struct {
	Type       string    `json:"@type"`
	Context    string    `json:"@context"`
	ThemeColor string    `json:"themeColor"`
	Summary    string    `json:"summary"`
	Sections   []section `json:"sections"`
}

type section struct {
	ActivityTitle    string          `json:"activityTitle"`
	ActivitySubtitle string          `json:"activitySubtitle"`
	Facts            []connectorFact `json:"facts"`
}

type connectorFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// messageCard is the message for connectors, which Microsoft retires in favour
// of workflows (https://learn.microsoft.com/en-us/outlook/actionable-messages/message-card-reference).
func messageCard(c *content) any {
	color := "0076D7"
	if c.isError {
		color = "FF0000"
	}
	facts := make([]connectorFact, len(c.facts))
	for i, f := range c.facts {
		facts[i] = connectorFact{Name: f.Key, Value: f.Value}
	}
	return connectorMessage{
		Type:       "MessageCard",
		Context:    "http://schema.org/extensions",
		ThemeColor: color,
		Summary:    c.plainName,
		Sections:   []section{{ActivityTitle: c.message, ActivitySubtitle: c.name, Facts: facts}},
	}
}
