"""Lists every route for the OpenAPI document: its name, its request, its reply, and its possible problems."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from service.admin import schemas as admin
from service.contract import errors, schemas
from service.contract.errors import ServiceError
from service.experiments.report import ExperimentReport

Struct = type[msgspec.Struct]
Errors = tuple[type[ServiceError], ...]

ITEMS, EVENTS, HEALTH, OPERATORS = "recommendations", "events", "health", "operators"

TAGS = {
    ITEMS: "Recommendations that a shop requests while it builds a page.",
    EVENTS: "Events of people; docs/events.md describes how they are stored.",
    HEALTH: "Health and metrics, for load balancers and Prometheus.",
    OPERATORS: "Operations that need a key, on their own port if STILLROOM_ADMIN_PORT is set; see docs/promotion.md.",
}


class Route(NamedTuple):
    """One operation. operation_id: its name in generated clients. request: the type of its body; None without a body.
    reply: the type of a good answer; None for text. problems: its problems besides those of any route.
    """

    method: str
    path: str
    operation_id: str
    tag: str
    summary: str
    reply: Struct | None
    request: Struct | None = None
    problems: Errors = ()
    status: str = "200"


ANYWHERE: Errors = (
    errors.InternalFailure,
    errors.ProtocolInvalid,
    errors.HeadTooLarge,
    errors.HeadTooSlow,
    errors.AddressBusy,
    errors.ConnectionsExhausted,
)
"""The problems of any route, most of which occur before the path is read."""

_BODY: Errors = (
    errors.BodyMalformed,
    errors.BodyTooSlow,
    errors.BodyTooLarge,
    errors.MediaTypeUnsupported,
    errors.EncodingUnsupported,
    errors.RequestInvalid,
)
_HOT: Errors = (*_BODY, errors.Overloaded)
_GUARDED: Errors = (errors.NotAuthorised, errors.AdminClosed)
_CHANGE: Errors = (*_GUARDED, errors.AuditUnavailable)
_ARM: Errors = (*_BODY, *_CHANGE, errors.TargetUnknown, errors.ChangeRefused, errors.NothingToServe)
_FORGET: Errors = (*_CHANGE, errors.RequestInvalid, errors.RouteUnknown, errors.SpoolUnavailable)

ROUTES = (
    Route(
        method="post",
        path="/recommend",
        operation_id="recommend",
        tag=ITEMS,
        summary="Recommend items for a person",
        request=schemas.RecommendRequest,
        reply=schemas.RecommendReply,
        problems=_HOT,
    ),
    Route(
        method="post",
        path="/recommend/batch",
        operation_id="recommend_batch",
        tag=ITEMS,
        summary="Score several requests together and answer them in order",
        request=schemas.RecommendBatchRequest,
        reply=schemas.RecommendBatchReply,
        problems=_HOT,
    ),
    Route(
        method="post",
        path="/similar",
        operation_id="similar",
        tag=ITEMS,
        summary="Recommend items that go with an item",
        request=schemas.SimilarRequest,
        reply=schemas.RecommendReply,
        problems=_HOT,
    ),
    Route(
        method="post",
        path="/events",
        operation_id="send_events",
        tag=EVENTS,
        summary="Accept events; 202 means that they are stored",
        request=schemas.EventBatch,
        reply=schemas.EventsReply,
        problems=(*_HOT, errors.KeyReused, errors.SpoolUnavailable),
        status="202",
    ),
    Route(
        method="get",
        path="/health/live",
        operation_id="live",
        tag=HEALTH,
        summary="Whether the process runs and takes connections",
        reply=schemas.LiveReply,
    ),
    Route(
        method="get",
        path="/health/ready",
        operation_id="ready",
        tag=HEALTH,
        summary="Whether requests should be sent here",
        reply=schemas.ReadyReply,
        problems=(errors.NotReady,),
    ),
    Route(
        method="get",
        path="/metrics",
        operation_id="metrics",
        tag=HEALTH,
        summary="Metrics for Prometheus",
        reply=None,
    ),
    Route(
        method="get",
        path="/admin/state",
        operation_id="state",
        tag=OPERATORS,
        summary="Show the state of the service",
        reply=admin.StateReply,
        problems=(*_GUARDED, errors.NotReady),
    ),
    Route(
        method="get",
        path="/admin/bundles",
        operation_id="bundles",
        tag=OPERATORS,
        summary="List the bundles of the store",
        reply=admin.BundlesReply,
        problems=_GUARDED,
    ),
    Route(
        method="post",
        path="/admin/promote",
        operation_id="promote",
        tag=OPERATORS,
        summary="Put a bundle into service",
        request=admin.PromoteRequest,
        reply=admin.PromotedReply,
        problems=(*_BODY, *_CHANGE, errors.TargetUnknown, errors.ChangeRefused),
    ),
    Route(
        method="post",
        path="/admin/rollback",
        operation_id="roll_back",
        tag=OPERATORS,
        summary="Return to the previous bundle",
        reply=admin.PromotedReply,
        problems=(*_CHANGE, errors.ChangeRefused),
    ),
    Route(
        method="get",
        path="/admin/experiments",
        operation_id="experiments",
        tag=OPERATORS,
        summary="List the experiments in force",
        reply=admin.ExperimentsReply,
        problems=_GUARDED,
    ),
    Route(
        method="get",
        path="/admin/experiments/{name}",
        operation_id="experiment",
        tag=OPERATORS,
        summary="Show the report of an experiment",
        reply=ExperimentReport,
        problems=(*_GUARDED, errors.TargetUnknown, errors.ChangeRefused, errors.NothingToServe),
    ),
    Route(
        method="post",
        path="/admin/experiments/{name}/stop",
        operation_id="stop_arm",
        tag=OPERATORS,
        summary="Stop an arm of an experiment",
        request=admin.StopRequest,
        reply=admin.StoppedReply,
        problems=_ARM,
    ),
    Route(
        method="post",
        path="/admin/experiments/{name}/resume",
        operation_id="resume_arm",
        tag=OPERATORS,
        summary="Resume a stopped arm",
        request=admin.ResumeRequest,
        reply=admin.StoppedReply,
        problems=_ARM,
    ),
    Route(
        method="delete",
        path="/people/{user_id}",
        operation_id="forget_person",
        tag=OPERATORS,
        summary="Forget a person and their visits",
        reply=schemas.ErasureReply,
        problems=_FORGET,
    ),
    Route(
        method="delete",
        path="/sessions/{session_id}",
        operation_id="forget_visit",
        tag=OPERATORS,
        summary="Forget a visit",
        reply=schemas.VisitErasureReply,
        problems=_FORGET,
    ),
)

REQUEST_AT = {route.path: route.request for route in ROUTES if route.request is not None}
"""The type of each request's body, by path."""
