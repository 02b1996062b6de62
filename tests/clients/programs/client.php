<?php // PHP's streams, as they come: HTTP/1.0 or 1.1 by version, and the connection is closed.
[, $url, $small, $large] = $argv;

function say(string $url, ?string $file): void
{
    $options = ["http" => ["ignore_errors" => true]];
    if ($file !== null) {
        $options["http"] += [
            "method" => "POST",
            "header" => "Content-Type: application/json",
            "content" => file_get_contents($file),
        ];
    }
    $body = file_get_contents($url, false, stream_context_create($options));
    preg_match('/^HTTP\S* (\d+)/', $http_response_header[0], $status);
    echo "$status[1] $body\n";
}

say("$url/recommend", $small);
say("$url/events", $large);
say("$url/recommend", $small);
say("$url/health/live", null);
