"""A peer of FastAPI and one Redis list per person, filled at the start; it ignores visits, filters and new events."""

from __future__ import annotations

import json

import redis
import redis.asyncio
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from loadtest.peers.lifespan import closing
from loadtest.peers.same_student import SameStudent
from loadtest.peers.setting import PeerSetting

N_KEPT = 20


class RecommendRequest(BaseModel):
    """The person who asks, and the number of items."""

    user_id: str = Field(min_length=1, max_length=256)
    limit: int = Field(default=10, ge=1, le=N_KEPT)


class Item(BaseModel):
    """One recommended item."""

    item_id: str
    score: float
    title: str | None


class RecommendReply(BaseModel):
    """The recommended items, best first."""

    items: list[Item]


def fill(setting: PeerSetting) -> None:
    """Put everybody's list into Redis."""
    student = SameStudent(setting)
    with redis.Redis.from_url(setting.redis_url) as client, client.pipeline(transaction=False) as pipeline:
        for user_id in setting.read_people():
            pipeline.delete(f"list:{user_id}")
            if items := student.recommend(user_id, N_KEPT):
                pipeline.rpush(f"list:{user_id}", *map(json.dumps, items))
        pipeline.execute()


def create_app(setting: PeerSetting) -> FastAPI:
    """Make the app, which reads lists that are there already."""
    live = redis.asyncio.Redis.from_url(setting.redis_url)
    app = FastAPI(lifespan=closing(live))

    @app.post("/recommend")
    async def recommend(request: RecommendRequest) -> RecommendReply:
        rows = await live.lrange(f"list:{request.user_id}", 0, request.limit - 1)
        return RecommendReply(items=[Item.model_validate_json(row) for row in rows])

    return app


if __name__ == "__main__":
    read = PeerSetting.read()
    fill(read)
    uvicorn.run(create_app(read), host="127.0.0.1", port=read.port, access_log=False, log_level="warning")
