// Answers 200 with what the example of docs/receiving.md read, and 401 when it refused.
package main

import (
	"errors"
	"log"
	"net/http"
	"os"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		body, err := readNotification(os.Getenv("WEBHOOK_SECRET"), response, request)
		if err != nil {
			http.Error(response, err.Error(), statusOf(err))
			return
		}
		response.Write(body)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func statusOf(err error) int {
	refusals := []error{
		webhooks.ErrRequiredHeaders, webhooks.ErrMessageTooOld, webhooks.ErrMessageTooNew, webhooks.ErrNoMatchingSignature,
	}
	for _, refusal := range refusals {
		if errors.Is(err, refusal) {
			return http.StatusUnauthorized
		}
	}
	return http.StatusInternalServerError
}
