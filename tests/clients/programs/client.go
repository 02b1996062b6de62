// Go's net/http, as it comes.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func say(response *http.Response, err error) {
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d %s\n", response.StatusCode, body)
}

func post(url, name string) {
	file, err := os.Open(name)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	say(http.Post(url, "application/json", file))
}

func main() {
	url, small, large := os.Args[1], os.Args[2], os.Args[3]
	post(url+"/recommend", small)
	post(url+"/events", large)
	post(url+"/recommend", small)
	say(http.Get(url + "/health/live"))
}
