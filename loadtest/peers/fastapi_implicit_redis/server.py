"""A peer of FastAPI, pydantic, implicit and Redis, with one uvicorn worker.

The factors are the bundle's item vectors, and the user vectors that the student makes of people's histories; factors
learned by ALS would take as long to search. A person's row is in their profile in Redis.
"""

from __future__ import annotations

import json

import numpy as np
import redis
import redis.asyncio
import uvicorn
from fastapi import FastAPI, HTTPException
from implicit.cpu.als import AlternatingLeastSquares
from pydantic import BaseModel, Field
from scipy.sparse import csr_matrix

from loadtest.peers.lifespan import closing
from loadtest.peers.setting import PeerSetting
from models.bundles.bundle import Bundle, read_bundle
from models.bundles.registry import Registry
from models.history import History

N_PEOPLE_TOGETHER = 256


class RecommendRequest(BaseModel):
    """The person who asks, and the number of items."""

    user_id: str = Field(min_length=1, max_length=256)
    limit: int = Field(default=10, ge=1, le=100)


class Item(BaseModel):
    """One recommended item."""

    item_id: str
    score: float
    title: str | None


class RecommendReply(BaseModel):
    """The recommended items, best first."""

    items: list[Item]


def fit_in(bundle: Bundle, histories: list[History]) -> tuple[AlternatingLeastSquares, csr_matrix]:
    """Return a model with these people's factors, (n_people, n_factors), and their (n_people, n_items) matrix."""
    student = bundle.load_student()
    model = AlternatingLeastSquares(factors=student.n_factors, num_threads=1)
    model.item_factors = student.item_vectors(np.arange(student.n_items))
    starts = range(0, len(histories), N_PEOPLE_TOGETHER)
    parts = [student.user_vectors(histories[start : start + N_PEOPLE_TOGETHER]) for start in starts]
    model.user_factors = np.concatenate(parts)
    offsets = np.cumsum([0, *map(len, histories)])
    columns = np.concatenate([history.item_indices for history in histories])
    shape = (len(histories), student.n_items)
    return model, csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=shape)


def create_app(setting: PeerSetting) -> FastAPI:
    """Put everybody's profile into Redis, and make the app."""
    registry = Registry(setting.store)
    bundle = read_bundle(registry.path(registry.current()))
    people = setting.read_people()
    model, user_items = fit_in(bundle, [bundle.people.find(each) or History.empty() for each in people])
    profiles = {f"profile:{user_id}": json.dumps({"row": row}) for row, user_id in enumerate(people)}
    with redis.Redis.from_url(setting.redis_url) as client:
        client.mset(profiles)
    item_ids = bundle.items.vocabulary
    titles = bundle.items.titles
    live = redis.asyncio.Redis.from_url(setting.redis_url)
    app = FastAPI(lifespan=closing(live))

    @app.post("/recommend")
    async def recommend(request: RecommendRequest) -> RecommendReply:
        profile = await live.get(f"profile:{request.user_id}")
        if profile is None:
            raise HTTPException(404, "unknown user")
        row = json.loads(profile)["row"]
        items, scores = model.recommend(
            row, user_items[row], N=request.limit, filter_already_liked_items=True
        )
        pairs = zip(items.tolist(), scores.tolist(), strict=True)
        return RecommendReply(
            items=[
                Item(item_id=item_ids.id_of(item), score=score, title=titles[item] or None)
                for item, score in pairs
            ]
        )

    return app


if __name__ == "__main__":
    read = PeerSetting.read()
    uvicorn.run(create_app(read), host="127.0.0.1", port=read.port, access_log=False, log_level="warning")
