// Command etcd is the server with its failpoints compiled in.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "go.etcd.io/gofail/runtime" // what the enabled failpoints call; imported here so that `go mod vendor` keeps it
)

func main() {
	etcdmain.Main(os.Args)
}
