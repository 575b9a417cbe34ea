package httpserver

import (
	"io"
	"sync"

	ginjson "github.com/gin-gonic/gin/codec/json"
)

var installOnce sync.Once //nolint:gochecknoglobals // guards gin's own global

// InstallGinCodec makes gin's ShouldBindJSON decode as DecodeJSON does; what gin writes stays as it is. gin keeps its codec in a global, so this
// is for the whole process, once: every service calls it before it builds its router.
func InstallGinCodec() {
	installOnce.Do(func() { ginjson.API = strictCodec{ginjson.API} })
}

type strictCodec struct{ ginjson.Core }

func (strictCodec) NewDecoder(r io.Reader) ginjson.Decoder { return strictDecoder{r} }

type strictDecoder struct{ body io.Reader }

func (d strictDecoder) Decode(v any) error { return DecodeJSON(d.body, v) }

// UseNumber and DisallowUnknownFields are gin's switches; DecodeJSON is as strict as it gets.
func (strictDecoder) UseNumber() {}

func (strictDecoder) DisallowUnknownFields() {}
