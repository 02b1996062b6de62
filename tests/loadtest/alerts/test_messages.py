"""The receivers of the drill take what Alertmanager sends and refuse whoever lacks the secret."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import httpx
import pytest

from loadtest.alerts.messages import SLACK_PATH, SMS_PATH, Inbox, email, slack_and_sms
from loadtest.servers import free_port

TOLD = {
    "status": "firing",
    "groupLabels": {"alertname": "StillroomDown"},
    "commonAnnotations": {"summary": "No replica of the service answers"},
}


@pytest.fixture
def inbox() -> Inbox:
    """Nothing in it yet."""
    return Inbox()


@pytest.fixture
def url(inbox: Inbox) -> Iterator[str]:
    """Where Slack and the gateway listen."""
    port = free_port()
    with slack_and_sms(inbox, port, "token"):
        yield f"http://127.0.0.1:{port}"


def heard(inbox: Inbox) -> list[tuple[str, str, str, str]]:
    """What arrived, without its time."""
    return [(message.way, message.alert, message.status, message.text) for message in inbox.all()]


def test_a_slack_message_is_heard(inbox: Inbox, url: str) -> None:
    attachment = {"title": "RESOLVED: StillroomDown (2)", "text": "over\n"}
    httpx.post(url + SLACK_PATH, content=json.dumps({"attachments": [attachment]}))
    assert heard(inbox) == [("slack", "StillroomDown", "resolved", "over")]


def test_an_sms_is_heard_with_the_token_only(inbox: Inbox, url: str) -> None:
    assert httpx.post(url + SMS_PATH, json=TOLD).status_code == 401
    assert inbox.all() == []
    assert httpx.post(url + SMS_PATH, json=TOLD, headers={"authorization": "Bearer token"}).status_code == 202
    assert heard(inbox) == [("sms", "StillroomDown", "firing", "No replica of the service answers")]


def test_a_mail_is_heard_with_the_password_only(inbox: Inbox) -> None:
    port = free_port()
    mail = EmailMessage()
    mail["from"], mail["to"], mail["subject"] = "a@example.com", "b@example.com", "CRITICAL: StillroomDown"
    mail.set_content("Nobody answers – at all")
    with email(inbox, port, "password"), smtplib.SMTP("127.0.0.1", port) as client:
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.send_message(mail)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("anybody", "guess")
        client.login("anybody", "password")
        client.send_message(mail)
    assert heard(inbox) == [("email", "StillroomDown", "firing", "Nobody answers – at all")]


def test_waiting_ends_with_a_message_that_is_wanted(inbox: Inbox) -> None:
    inbox.add("slack", "CRITICAL: One", "")
    inbox.add("slack", "RESOLVED: One", "")
    found = inbox.wait_for(lambda message: message.status == "resolved", seconds=5)
    assert found is not None
    assert found.alert == "One"
    assert inbox.wait_for(lambda message: message.alert == "Another", seconds=0.01) is None
