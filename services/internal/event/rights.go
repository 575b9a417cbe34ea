package event

import "fmt"

// Rights is what a service's NATS user may do. Subjects may have wildcards.
type Rights struct {
	Publish, Subscribe []string
}

// RightsOf is the least a service ("user", "note", "gateway") needs: facts of its own only, the API of the streams that it writes and reads,
// and its own inbox. The service's name is the user's, and the Name of its Config.
func RightsOf(service string) (Rights, error) {
	subscribe := []string{"_INBOX." + service + ".>"}
	switch service {
	case "user":
		publish := []string{"ws.*.user.v1.>", "ws.*.workspace.v1.>"}
		return Rights{append(publish, writerRights(service, StreamUser)...), append(subscribe, PingSubject(service))}, nil
	case "note":
		publish := []string{"ws.*.note.v1.>"}
		return Rights{append(publish, writerRights(service, StreamNote)...), append(subscribe, PingSubject(service))}, nil
	case "gateway":
		return Rights{append(readRights(StreamUser), readRights(StreamNote)...), subscribe}, nil
	}
	return Rights{}, fmt.Errorf("no rights are declared for %q", service)
}

// writerRights is what a service with an outbox and inboxes needs beside its facts' subjects.
func writerRights(service, stream string) []string {
	all := []string{PingSubject(service), "dlq.>", "$JS.API.STREAM.MSG.DELETE." + StreamDead, "$JS.API.STREAM.PURGE." + stream, "$JS.API.STREAM.DELETE." + stream}
	for _, kept := range []string{stream, StreamDead} {
		all = append(all, "$JS.API.STREAM.CREATE."+kept, "$JS.API.STREAM.UPDATE."+kept)
	}
	for _, read := range []string{StreamUser, StreamNote, StreamDead} {
		all = append(all, readRights(read)...)
		all = append(all, "$JS.ACK."+read+".>")
	}
	return all
}

func readRights(stream string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.STREAM.MSG.GET." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + ".>",
		"$JS.API.CONSUMER.INFO." + stream + ".*",
		"$JS.API.CONSUMER.DELETE." + stream + ".*",
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".*",
	}
}
