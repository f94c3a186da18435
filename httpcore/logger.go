package httpcore

import (
	"log"
	"os"

	"github.com/valyala/fasthttp"
)

// defaultLogger is used when fasthttp.Server.Logger is nil, as fasthttp does.
var defaultLogger fasthttp.Logger = log.New(os.Stderr, "", log.LstdFlags)
