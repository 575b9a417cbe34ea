package console

import (
	"flag"
	"io"
	"strconv"
)

// options are what may follow a command.
type options struct {
	data, server, tokenFile string
	format                  string
	words                   []string

	consumer string
	from     uint64
	limit    int
	payload  bool
	all      bool
}

// parse takes flags and words in any order.
func (c command) parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("noteworks "+c.group+" "+c.verb, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.data, "data", "data", "the data directory of the Noteworks that runs here")
	f.StringVar(&o.server, "server", "", "instead, the internal port of one service, such as http://localhost:8082")
	f.StringVar(&o.tokenFile, "token-file", "", "the file with the token for --server")
	f.StringVar(&o.format, "o", "table", "table or json")
	if c.flags != nil {
		c.flags(o, f)
	}
	f.Usage = func() {
		f.SetOutput(stderr)
		say(stderr, "noteworks %s %s %s: %s.\n\n", c.group, c.verb, c.args, c.does)
		f.PrintDefaults()
	}
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			break
		}
		o.words = append(o.words, f.Arg(0))
		args = f.Args()[1:]
	}
	switch {
	case o.format != "table" && o.format != "json":
		return nil, misused("-o %s: it can print a table or json", o.format)
	case o.server == "" && o.tokenFile != "":
		return nil, misused("--token-file is for --server, which is missing")
	case o.server != "" && o.tokenFile == "":
		return nil, misused("--server needs --token-file: the file with a token for it, as kubectl create token makes one")
	case c.args == "" && len(o.words) > 0:
		return nil, misused("what is %q? See noteworks %s %s --help", o.words[0], c.group, c.verb)
	}
	return o, nil
}

// numbers reads the words as numbers of dead letters.
func (o *options) numbers() ([]uint64, error) {
	var all []uint64
	for _, word := range o.words {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil || n == 0 {
			return nil, misused("%q is not the number of a dead letter: noteworks dlq ls shows them", word)
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return nil, misused("which one? Name its number: noteworks dlq ls shows them")
	}
	return all, nil
}
