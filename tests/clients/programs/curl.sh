#!/bin/sh
# curl, with the options given in CURL_OPTIONS; a body of more than a megabyte waits for "100 Continue".
say() { curl --silent --show-error $CURL_OPTIONS --write-out '\n%{http_code}\n' "$@" | { read -r body; read -r status; echo "$status $body"; }; }
json='Content-Type: application/json'
say -H "$json" --data-binary "@$2" "$1/recommend"
say -H "$json" --data-binary "@$3" "$1/events"
say -H "$json" --data-binary "@$2" "$1/recommend"
say "$1/health/live"
