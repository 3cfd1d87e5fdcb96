package main

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const pageKeys = 1000

type read struct {
	Keys    int     `json:"keys"`
	Pages   int     `json:"pages"`
	Seconds float64 `json:"seconds"`
}

// Reads all keys in pages towards the far end, as users of the client do.
func readAll(client *clientv3.Client) (*read, error) {
	began, read, revision := time.Now(), &read{}, int64(0)
	for from, more := "\x00", true; more; {
		page, err := client.Get(context.Background(), from,
			clientv3.WithFromKey(), clientv3.WithLimit(pageKeys), clientv3.WithRev(revision))
		if err != nil {
			return nil, err
		}
		if revision == 0 {
			revision = page.Header.Revision
		}
		read.Keys += len(page.Kvs)
		read.Pages++
		if more = page.More && len(page.Kvs) > 0; more {
			from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		}
	}
	read.Seconds = time.Since(began).Seconds()
	return read, nil
}
