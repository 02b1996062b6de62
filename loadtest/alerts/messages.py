"""Receive what Alertmanager really sends, by HTTP servers for Slack and the SMS gateway, and an SMTP server."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from time import monotonic
from typing import Any
from warnings import filterwarnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

HOST = "127.0.0.1"
SLACK_PATH = "/services/T000/B000/drill"
SMS_PATH = "/alertmanager"


@dataclass(frozen=True)
class Message:
    """One message. way: slack, email or sms. status: firing or resolved. at: monotonic seconds. text: for people."""

    way: str
    alert: str
    status: str
    text: str
    at: float


class Inbox:
    """Messages in the order of their arrival; any thread may add and wait."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._arrived = Condition()

    def add(self, way: str, title: str, text: str) -> None:
        """Add a message. title: "CRITICAL: Name" or "RESOLVED: Name", with a count behind it."""
        kind, _, name = title.partition(": ")
        status = "resolved" if kind == "RESOLVED" else "firing"
        with self._arrived:
            self._messages.append(Message(way, name.split()[0], status, text.strip(), monotonic()))
            self._arrived.notify_all()

    def all(self) -> list[Message]:
        """Return all messages so far."""
        with self._arrived:
            return list(self._messages)

    def wait_for(self, wanted: Callable[[Message], bool], seconds: float) -> Message | None:
        """Wait for the first wanted message, which may be there already; None if none comes in time."""
        with self._arrived:
            self._arrived.wait_for(lambda: any(map(wanted, self._messages)), seconds)
            return next(filter(wanted, self._messages), None)


@contextmanager
def slack_and_sms(inbox: Inbox, port: int, sms_token: str) -> Iterator[None]:
    """Listen as Slack at SLACK_PATH, and as a gateway at SMS_PATH that refuses callers without its token."""

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(self._take(told))
            self.send_header("content-length", "0")
            self.end_headers()

        def _take(self, told: dict[str, Any]) -> int:
            if self.path == SLACK_PATH:
                [attached] = told["attachments"]
                inbox.add("slack", attached["title"], attached["text"])
                return 200
            if self.path == SMS_PATH and self.headers["authorization"] == f"Bearer {sms_token}":
                kind = "RESOLVED" if told["status"] == "resolved" else "CRITICAL"
                title = f"{kind}: {told['groupLabels']['alertname']}"
                inbox.add("sms", title, told["commonAnnotations"]["summary"])
                return 202
            return 401 if self.path == SMS_PATH else 404

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing, because what arrives is in the inbox."""

    server = ThreadingHTTPServer((HOST, port), Sink)
    thread = Thread(target=server.serve_forever, args=(0.05,), name="slack and sms")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Mailbox:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.original_content or b"")
        body = mail
        while body.is_multipart():
            body = body.get_payload(0)  # type: ignore[assignment]
        content = body.get_payload(decode=True)
        text = content.decode() if isinstance(content, bytes) else ""
        self._inbox.add("email", str(make_header(decode_header(mail["subject"]))), text)
        return "250 OK"


@contextmanager
def email(inbox: Inbox, port: int, password: str) -> Iterator[None]:
    """Listen for mail; clients that do not give the password are refused."""

    def authenticate(server: object, session: object, envelope: object, how: str, told: object) -> AuthResult:
        known = isinstance(told, LoginPassword) and told.password == password.encode()
        return AuthResult(success=known, handled=False)

    controller = Controller(
        _Mailbox(inbox),
        hostname=HOST,
        port=port,
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=False,
        auth_exclude_mechanism=["LOGIN"],  # Alertmanager does not understand its prompts
    )
    # aiosmtpd warns of passwords without TLS at each connection; here they cross loopback only.
    filterwarnings("ignore", "Requiring AUTH while not requiring TLS", UserWarning)
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    controller.start()
    try:
        yield
    finally:
        controller.stop()
