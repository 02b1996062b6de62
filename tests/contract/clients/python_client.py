"""Ask a service through the client that openapi-python-client made of the document; URL and key are the arguments."""

import sys

from stillroom_client import AuthenticatedClient, Client
from stillroom_client.api.events import send_events
from stillroom_client.api.health import ready
from stillroom_client.api.operators import forget_person, state
from stillroom_client.api.recommendations import recommend, recommend_batch, similar
from stillroom_client.models import (
    EventBatch,
    ProblemReply,
    RecommendBatchRequest,
    RecommendRequest,
    SessionEvent,
    SessionEventKind,
    ShopEvent,
    ShopEventKind,
    SimilarRequest,
)

url, key = sys.argv[1:]
client = Client(base_url=url, raise_on_unexpected_status=True)

visit = [SessionEvent(item_id="item-5", kind=SessionEventKind.CART)]
answer = recommend.sync(client=client, body=RecommendRequest(user_id="user-1", session=visit, limit=3))
assert [item.item_id for item in answer.items] == ["item-1", "item-5", "item-9"], answer
assert answer.tier == "student"
assert answer.model.version == ready.sync(client=client).bundle_version

replies = recommend_batch.sync(
    client=client, body=RecommendBatchRequest([RecommendRequest(limit=1)] * 2)
).replies
assert [len(reply.items) for reply in replies] == [1, 1], replies
assert (
    similar.sync(client=client, body=SimilarRequest(item_id="item-2", limit=1)).items[0].item_id == "item-6"
)

bought = ShopEvent(kind=ShopEventKind.PURCHASE, item_id="item-13", user_id="user-1")
accepted = send_events.sync(client=client, body=EventBatch(key="from-python", events=[bought]))
assert (accepted.accepted, accepted.rejected, accepted.replayed) == (1, [], False), accepted

refused = recommend.sync_detailed(client=client, body=RecommendRequest(limit=1000), x_request_id="mine")
assert isinstance(refused.parsed, ProblemReply), refused
assert (refused.parsed.status, refused.parsed.errors[0].path) == (422, "limit"), refused
assert refused.parsed.request_id == refused.headers["x-request-id"] == "mine"

operator = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
assert state.sync(client=operator).ready.bundle_version == answer.model.version
assert state.sync(client=AuthenticatedClient(base_url=url, token="wrong")).status == 401
assert forget_person.sync("user-1", client=operator).user_id == "user-1"
