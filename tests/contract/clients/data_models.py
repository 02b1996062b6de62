"""Ask a service with the models that datamodel-code-generator made of the document; its URL is the argument."""

import sys

import httpx
import stillroom_models as models

client = httpx.Client(base_url=sys.argv[1], headers={"content-type": "application/json"})


def post(path, body):
    """POST a model; what came back."""
    return client.post(path, content=body.model_dump_json(exclude_none=True))


asked = models.RecommendRequest(user_id="user-2", session=[models.SessionEvent(item_id="item-6")], limit=3)
answer = models.RecommendReply.model_validate_json(post("/recommend", asked).content)
assert [item.item_id for item in answer.items] == ["item-2", "item-6", "item-10"], answer

bought = models.ShopEvent(kind="purchase", item_id="item-14", user_id="user-2")
sent = post("/events", models.EventBatch(key="from-models", events=[bought]))
assert models.EventsReply.model_validate_json(sent.content).accepted == 1, sent.text

refused = client.post("/recommend", json={"limit": 1000})
assert models.ProblemReply.model_validate_json(refused.content).errors[0].path == "limit", refused.text
assert models.ReadyReply.model_validate_json(client.get("/health/ready").content).bundle_version
