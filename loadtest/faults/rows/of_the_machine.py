"""Rows on the service's processes, the machine and the store."""

from __future__ import annotations

from loadtest.faults import machine_faults as machine
from loadtest.faults import process_faults as processes
from loadtest.faults import store_faults as store
from loadtest.faults.row import AWAY, Row
from loadtest.faults.rows.common import BROKEN_OFF, NOT_KEPT
from loadtest.faults.setting import Setting

PROCESSES = (
    Row(
        name="worker-killed",
        group="processes",
        fault=processes.worker_killed,
        done="One of two workers is killed; the supervisor starts another.",
        holds="Only what was under way on its connections fails.",
        seconds=6.0,
        helpless=BROKEN_OFF,
        event_statuses=frozenset({"none"}),
        is_short=True,
    ),
    Row(
        name="sigterm",
        group="processes",
        fault=processes.stopped_and_started,
        done="SIGTERM under load, and the same service started again.",
        holds="No answer is cut off; what is accepted is kept.",
        seconds=1.0,
        helpless=BROKEN_OFF,
        event_statuses=frozenset({"none", "503"}),
        setting=Setting(settings={"STILLROOM_DRAIN_SECONDS": "1"}),
    ),
    Row(
        name="descriptors-out",
        group="processes",
        fault=processes.descriptors_out,
        done="Each worker may open two descriptors more than it has.",
        holds="Those who are connected are answered, and newcomers once there are descriptors again.",
        event_statuses=frozenset({"none", *NOT_KEPT}),
        may_say=frozenset({AWAY}),
    ),
)

MACHINE = (
    Row(
        name="spool-deleted",
        group="machine",
        fault=machine.spool_deleted,
        done="The spool's folder is removed under the service.",
        holds="Nothing is accepted into files that are gone.",
        event_statuses=NOT_KEPT,
    ),
    Row(
        name="disk-full",
        group="machine",
        fault=machine.disk_full,
        done="Nothing more fits on the disk of the spool, then something is removed.",
        holds="Answers go on; events are refused with 503, whole.",
        event_statuses=NOT_KEPT,
        setting=Setting(spool_bytes=4 * 2**20),
    ),
    Row(
        name="nothing-can-be-written",
        group="machine",
        fault=machine.nothing_can_be_written,
        done="No file of the service may grow (RLIMIT_FSIZE), its log neither; later they may again.",
        holds="Answers go on; events are refused with 503, whole.",
        event_statuses=NOT_KEPT,
        may_log_errors=True,
        is_short=True,
    ),
    *(
        Row(
            name=f"clock-{name}",
            group="machine",
            fault=machine.clock_moved(days),
            done=f"The service's clock jumps 400 days {name}, and comes back.",
            holds="What is accepted once it is right is marked with the right time, also after a restart.",
            check=machine.events_have_the_right_time,
            setting=Setting(has_clock=True),
            is_short=name == "forward",
        )
        for name, days in (("back", -400.0), ("forward", 400.0))
    ),
)

STORE = (
    Row(
        name="bundle-damaged",
        group="store",
        fault=store.damaged_bundle_promoted,
        done="A bundle with one bit turned over is promoted, by the route and by hand.",
        holds="It is refused, and the one in service goes on.",
        setting=Setting(n_bundles=2, spoils_last=True),
        is_short=True,
    ),
    Row(
        name="bundle-deleted",
        group="store",
        fault=store.bundle_deleted,
        done="The files of the bundle in service are removed, and put back.",
        holds="It goes on.",
    ),
    Row(
        name="store-replaced",
        group="store",
        fault=store.store_replaced,
        done="The folder of the store is exchanged for another, in which another bundle is promoted.",
        holds="The service goes over to it, and no answer is mixed.",
        setting=Setting(n_bundles=2),
        check=store.store_is_whole,
    ),
    Row(
        name="promotions-at-once",
        group="store",
        fault=store.promotions_at_once,
        done="Ten operators promote and roll back in the same moment.",
        holds="Each is told what became of it, and no answer is mixed.",
        setting=Setting(n_bundles=3),
        check=store.store_is_whole,
    ),
    Row(
        name="store-empty",
        group="store",
        fault=store.first_bundle_comes,
        done="The service starts on an empty store; later a first bundle is promoted.",
        holds="Events are accepted and questions answered from the start, then by the student.",
        may_say=frozenset({"no_model"}),
        setting=Setting(n_bundles=0),
        check=store.student_answers,
    ),
)
