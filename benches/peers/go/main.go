// The Go client under the same load as the Rust ones: the arguments and the answer are those of
// benches/peers/load/src/lib.rs. With `ENDPOINTS pages` it reads all keys instead: see pages.go.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	keys            = 1024
	valueBytes      = 256
	workerThreads   = 2
	warmUp          = 300 * time.Millisecond
	pauseAfterError = 10 * time.Millisecond
	lastCalls       = 10 * time.Second
)

type job struct {
	endpoints []string
	operation string
	inFlight  uint64
	measured  time.Duration
	think     time.Duration
	deadline  time.Duration // 0: none
}

// What became of the calls.
type record struct {
	latencies  []time.Duration
	perSecond  []uint64
	warmUp     uint64
	errors     uint64
	firstError string
}

type told struct {
	Rate        float64  `json:"rate"`
	P50         float64  `json:"p50_us"`
	P99         float64  `json:"p99_us"`
	P999        float64  `json:"p999_us"`
	Max         float64  `json:"max_us"`
	Errors      uint64   `json:"errors"`
	Calls       int      `json:"calls"`
	WarmUpCalls uint64   `json:"warm_up_calls"`
	PerSecond   []uint64 `json:"per_second"`
	FirstError  string   `json:"first_error"`
}

func main() {
	runtime.GOMAXPROCS(workerThreads)
	if len(os.Args) == 3 && os.Args[2] == "pages" {
		told, err := readAll(connect(strings.Split(os.Args[1], ",")))
		orEnd(err)
		orEnd(json.NewEncoder(os.Stdout).Encode(told))
		return
	}
	job, err := fromArguments(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "arguments: ENDPOINTS get|put IN_FLIGHT SECONDS [THINK_MS [DEADLINE_MS]]:", err)
		os.Exit(2)
	}
	orEnd(json.NewEncoder(os.Stdout).Encode(measure(connect(job.endpoints), job)))
}

func connect(endpoints []string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second})
	orEnd(err)
	return client
}

func orEnd(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func fromArguments(arguments []string) (job, error) {
	if len(arguments) < 4 || (arguments[1] != "get" && arguments[1] != "put") {
		return job{}, errors.New("not these")
	}
	var numbers [4]uint64
	for at, text := range arguments[2:] {
		number, err := strconv.ParseUint(text, 10, 32)
		if err != nil || at >= len(numbers) {
			return job{}, fmt.Errorf("not a number, or one too many: %q", text)
		}
		numbers[at] = number
	}
	return job{
		endpoints: strings.Split(arguments[0], ","),
		operation: arguments[1],
		inFlight:  max(numbers[0], 1),
		measured:  time.Duration(numbers[1]) * time.Second,
		think:     time.Duration(numbers[2]) * time.Millisecond,
		deadline:  time.Duration(numbers[3]) * time.Millisecond,
	}, nil
}

func measure(client *clientv3.Client, job job) told {
	begin := time.Now().Add(warmUp)
	end := begin.Add(job.measured)
	records := make(chan *record, job.inFlight)
	for seed := uint64(1); seed <= job.inFlight; seed++ {
		go func() { records <- caller(client, job, seed, begin, end) }()
	}
	total := &record{perSecond: make([]uint64, int(job.measured/time.Second))}
	giveUp := time.After(time.Until(end.Add(lastCalls)))
	for range job.inFlight {
		select {
		case record := <-records:
			total.add(record)
		case <-giveUp:
			giveUp = closedTimer()
			total.failed(errors.New("a call never ended"))
		}
	}
	return total.tell(job.measured)
}

func closedTimer() <-chan time.Time {
	over := make(chan time.Time)
	close(over)
	return over
}

// One call after the other until the end.
func caller(client *clientv3.Client, job job, seed uint64, begin, end time.Time) *record {
	record := &record{perSecond: make([]uint64, int(job.measured/time.Second))}
	value := strings.Repeat("v", valueBytes)
	for random := seed; ; {
		sent := time.Now()
		if !sent.Before(end) {
			return record
		}
		var number uint64
		number, random = splitMix(random)
		err := call(client, job, fmt.Sprintf("bench/%08d", number%keys), value)
		over := time.Now()
		if sent.Before(begin) {
			record.warmUp++
		} else {
			record.note(err, over.Sub(sent), over.Sub(begin))
		}
		if err != nil {
			time.Sleep(pauseAfterError)
		} else if job.think > 0 {
			time.Sleep(job.think)
		}
	}
}

func call(client *clientv3.Client, job job, key, value string) error {
	ctx := context.Background()
	if job.deadline > 0 {
		within, cancel := context.WithTimeout(ctx, job.deadline)
		defer cancel()
		ctx = within
	}
	if job.operation == "put" {
		_, err := client.Put(ctx, key, value)
		return err
	}
	answer, err := client.Get(ctx, key)
	if err != nil {
		return err
	}
	if len(answer.Kvs) != 1 || len(answer.Kvs[0].Value) != valueBytes {
		return errors.New("not the value that was written")
	}
	return nil
}

func splitMix(state uint64) (number, next uint64) {
	next = state + 0x9e3779b97f4a7c15
	mixed := (next ^ (next >> 30)) * 0xbf58476d1ce4e5b9
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb
	return mixed ^ (mixed >> 31), next
}

func (r *record) note(err error, latency, sinceBegin time.Duration) {
	r.latencies = append(r.latencies, latency)
	if err != nil {
		r.failed(err)
	} else if second := int(sinceBegin / time.Second); second < len(r.perSecond) {
		r.perSecond[second]++
	}
}

func (r *record) failed(err error) {
	r.errors++
	if r.firstError == "" {
		r.firstError = err.Error()
	}
}

func (r *record) add(other *record) {
	r.latencies = append(r.latencies, other.latencies...)
	for second, count := range other.perSecond {
		r.perSecond[second] += count
	}
	r.warmUp += other.warmUp
	r.errors += other.errors
	if r.firstError == "" {
		r.firstError = other.firstError
	}
}

func (r *record) tell(measured time.Duration) told {
	slices.Sort(r.latencies)
	at := func(share float64) float64 {
		if len(r.latencies) == 0 {
			return 0
		}
		return float64(r.latencies[int(float64(len(r.latencies)-1)*share+0.5)]) / 1e3
	}
	var well uint64
	for _, count := range r.perSecond {
		well += count
	}
	return told{
		Rate: float64(well) / measured.Seconds(),
		P50:  at(0.5), P99: at(0.99), P999: at(0.999), Max: at(1),
		Errors: r.errors, Calls: len(r.latencies), WarmUpCalls: r.warmUp,
		PerSecond: r.perSecond, FirstError: r.firstError,
	}
}
