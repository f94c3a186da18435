package target

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed node.js
var nodeScript string

func node(e Env, port int) (*exec.Cmd, error) {
	script := filepath.Join(e.Dir, "node.js")
	if err := os.WriteFile(script, []byte(nodeScript), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(find("node"), script, fmt.Sprint(port), e.Root), nil
}

// The limits that Apache has when nobody sets any (its manual, MaxRequestWorkers).
const (
	PreforkWorkers = 256
	EventWorkers   = 400
)

// Backlog is how many connections that nobody has accepted wait for a server:
// Linux's default of net.core.somaxconn, which everybody here asks for.
const Backlog = 4096

// preforkLimits and eventLimits have all workers started beforehand and kept:
// Apache adds at most 32 processes a second, and that is not to be measured.
func preforkLimits(n int) string {
	return fmt.Sprintf("ServerLimit %d\nMaxRequestWorkers %[1]d\nStartServers %[1]d\nMaxSpareServers %[1]d", n)
}

var eventLimits = fmt.Sprintf("MaxRequestWorkers %d\nStartServers %d\nThreadsPerChild 25\nMaxSpareThreads %[1]d",
	EventWorkers, EventWorkers/25)

// asRoot are the lines with which a server that root starts gives its rights up.
func asRoot(lines string) string {
	if os.Getuid() == 0 {
		return lines
	}
	return ""
}

// apache returns the command of a multi-processing module. A handler that
// waits is mod_lua's r.usleep: the process (prefork) or the thread (event) that
// has the request waits in it, as one does that waits for a database. But for
// the limits given, and for how long and for how many requests it keeps a
// connection, everything is Apache's default.
func apache(mpm, limits string) func(Env, int) (*exec.Cmd, error) {
	return func(e Env, port int) (*exec.Cmd, error) {
		lua := filepath.Join(e.Dir, "slow.lua")
		name := fmt.Sprintf("apache-%s-%d", mpm, port) // two may run at the same time
		conf := filepath.Join(e.Dir, name+".conf")
		// others read both: the workers are not root's
		if err := os.WriteFile(lua, []byte(slowLua), 0o644); err != nil {
			return nil, err
		}
		text := strings.NewReplacer("{MPM}", mpm, "{NAME}", name, "{LIMITS}", limits, "{BACKLOG}", fmt.Sprint(Backlog), "{PORT}", fmt.Sprint(port), "{DIR}", e.Dir, "{ROOT}", e.Root,
			"{USER}", asRoot("User nobody\nGroup nogroup")).Replace(apacheConf)
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return exec.Command(find("apache2"), "-f", conf, "-DFOREGROUND"), nil
	}
}

const slowLua = `function handle(r)
  local ms = tonumber(r:parseargs().ms) or 0
  if ms > 0 then r.usleep(ms * 1000) end
  r.content_type = "text/plain"
  r:puts(string.format("waited %d ms\n", ms))
  return apache2.OK
end
`

const apacheConf = `ServerRoot "{DIR}"
ServerName 127.0.0.1
Listen 127.0.0.1:{PORT}
ListenBacklog {BACKLOG}
PidFile "{DIR}/{NAME}.pid"
DefaultRuntimeDir "{DIR}"
ErrorLog "{DIR}/{NAME}.error"
LogLevel error
{USER}
LoadModule mpm_{MPM}_module /usr/lib/apache2/modules/mod_mpm_{MPM}.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule reflector_module /usr/lib/apache2/modules/mod_reflector.so
LoadModule lua_module /usr/lib/apache2/modules/mod_lua.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
{LIMITS}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 300
Timeout 300
FileETag None
DocumentRoot "{ROOT}"
<Directory "{ROOT}">
  Require all granted
  ForceType application/octet-stream
  <Files plaintext>
    ForceType text/plain
  </Files>
</Directory>
<Location /echo>
  SetHandler reflector
</Location>
LuaMapHandler ^/slow$ "{DIR}/slow.lua" handle
`

// nginx has no handler that waits of its own; its echo module's sleep is a
// timer of the event loop, and where it is missing the routes /echo and /slow
// are too.
func nginx(e Env, port int) (*exec.Cmd, error) {
	conf := filepath.Join(e.Dir, "nginx.conf")
	module, routes := "", ""
	if name := "/usr/lib/nginx/modules/ngx_http_echo_module.so"; exists(name) {
		module, routes = "load_module "+name+";", nginxEcho
	}
	text := strings.NewReplacer("{PORT}", fmt.Sprint(port), "{DIR}", e.Dir, "{ROOT}", e.Root, "{MODULE}", module,
		"{ROUTES}", routes, "{WORKERS}", fmt.Sprint(max(1, len(e.CPUs))), "{USER}", asRoot("user nobody nogroup;")).Replace(nginxConf)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(find("nginx"), "-c", conf, "-p", e.Dir, "-e", filepath.Join(e.Dir, "nginx.error")), nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

const nginxConf = `{MODULE}
{USER}
daemon off;
worker_processes {WORKERS};
worker_rlimit_nofile 20000;
pid {DIR}/nginx.pid;
error_log {DIR}/nginx.error error;
events { worker_connections 16384; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  etag off;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  client_body_temp_path {DIR}/nginx-body;
  proxy_temp_path {DIR}/nginx-proxy;
  fastcgi_temp_path {DIR}/nginx-fastcgi;
  uwsgi_temp_path {DIR}/nginx-uwsgi;
  scgi_temp_path {DIR}/nginx-scgi;
  default_type application/octet-stream;
  map $arg_ms $sleep { 50 0.05; 1000 1.0; default 0.001; }
  server {
    listen 127.0.0.1:{PORT} backlog=4096;
    root {ROOT};
    location = / { default_type text/plain; return 200 "Hello, World!"; }
    location = /plaintext { default_type text/plain; return 200 "Hello, World!"; }
{ROUTES}  }
}
`

const nginxEcho = `    location = /echo { echo_read_request_body; echo_request_body; }
    location = /slow { default_type text/plain; echo_sleep $sleep; echo "waited $arg_ms ms"; }
`
