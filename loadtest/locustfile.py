"""Locust users that behave like a shop's visitors. `python -m loadtest` runs this file; so does

    locust -f loadtest/locustfile.py --host http://127.0.0.1:8000

with the web UI, where the number of users times --requests-per-user is the rate.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import gevent
from locust import FastHttpUser, events, task

from loadtest.errors import LoadTestError
from loadtest.people import Answer, Crowd, read_ids
from loadtest.recording import Recorder


def add_options(parser: Any) -> None:
    """Add options to Locust's own; the web UI shows them too."""
    ids = "File of {0} ids, one per line, or a pattern such as '{0}-{{}}:500'"
    people, items = "reports/load-people.txt", "reports/load-items.txt"
    parser.add_argument("--people", default=people, help=ids.format("user"))
    parser.add_argument("--items", default=items, help=ids.format("item"))
    parser.add_argument(
        "--requests-per-user", type=float, default=1.0, help="Requests per second of each user"
    )
    parser.add_argument("--seed", type=int, default=0, help="Random seed of who asks for what")
    parser.add_argument(
        "--record", default="", help="File to which one row per request is written", include_in_web_ui=False
    )


def gather_crowd(environment: Any, **_: object) -> None:
    """Read the ids once for all users, and start recording if the settings say so."""
    options = environment.parsed_options
    Visitor.random = Random(options.seed)
    try:
        Visitor.crowd = Crowd(read_ids(options.people), read_ids(options.items), Visitor.random)
    except LoadTestError as error:
        # Locust would log a listener's error and go on, but nothing works without ids.
        sys.exit(f"error: {error}")
    Visitor.pace_seconds = 1 / options.requests_per_user
    if options.record:
        record(environment, Recorder(Path(options.record)))


def record(environment: Any, recorder: Recorder) -> None:
    """Record every request until the process ends."""

    def on_request(
        name: str,
        response_time: float,
        start_time: float,
        exception: object,
        context: dict[str, Any],
        **_: object,
    ) -> None:
        recorder.add(start_time, name, response_time, exception, context["answer"])

    environment.events.request.add_listener(on_request)
    environment.events.quitting.add_listener(lambda **_: recorder.close())


class Visitor(FastHttpUser):
    """One of many visitors. It keeps to a timetable: after a slow answer it catches up, so that the rate holds."""

    crowd: Crowd
    random: Random
    pace_seconds: float
    network_timeout = 10.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        """Begin at a random time within the first beat, so that visitors who start together do not click together."""
        gevent.sleep(self.random.uniform(0, self.pace_seconds))
        self._due = perf_counter()

    def wait_time(self) -> float:
        """Return seconds until the next beat. Locust's constant_throughput would undo the random start."""
        self._due += self.pace_seconds
        return max(0.0, self._due - perf_counter())

    @task
    def ask(self) -> None:
        """Send one request and judge its answer."""
        call = self.crowd.next_call()
        answer = Answer()
        with self.client.post(
            call.path, json=call.body, name=call.name, catch_response=True, context={"answer": answer}
        ) as reply:
            answer.judge(reply.status_code, reply.content)
            if answer.fault:
                reply.failure(answer.fault)
            else:
                reply.success()


# Locust does not type its hooks.
hooks: Any = events
hooks.init_command_line_parser.add_listener(add_options)
hooks.test_start.add_listener(gather_crowd)
