package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// posting is an event as it was written.
type posting struct {
	name string // its file, and its number where that holds several
	body []byte
}

// readPostings reads events from files, - being the standard input. A file holds
// one event, several one after the other, or a list.
func readPostings(files []string, in io.Reader) ([]posting, error) {
	var all []posting
	for _, file := range files {
		found, err := readFile(file, in)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func readFile(file string, in io.Reader) ([]posting, error) {
	name := file
	if file == "-" {
		name = "standard input"
	} else {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	values, err := splitValues(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	found := make([]posting, len(values))
	for i, value := range values {
		found[i] = posting{name: name, body: value}
		if len(values) > 1 {
			found[i].name += "#" + strconv.Itoa(i+1)
		}
	}
	return found, nil
}

// splitValues reads JSON values, those of lists one by one.
func splitValues(r io.Reader) ([]json.RawMessage, error) {
	var values []json.RawMessage
	decoder := json.NewDecoder(r)
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		var syntax *json.SyntaxError
		switch {
		case errors.Is(err, io.EOF) && len(values) == 0:
			return nil, errors.New("is empty, expected an event as a JSON object")
		case errors.Is(err, io.EOF):
			return values, nil
		case errors.As(err, &syntax):
			return nil, fmt.Errorf("is not JSON, from byte %d on", syntax.Offset)
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("is not JSON: it ends too early")
		case err != nil:
			return nil, err
		}
		if !bytes.HasPrefix(value, []byte("[")) {
			values = append(values, value)
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, err
		}
		values = append(values, list...)
	}
}
