"""Render one HTML page from the figures of a report, and from nothing else.

Everything is inline: there is no script, font, image file or network access. A part that was not measured has no
section.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from training.evaluation.page import experiments, members, monitoring, setting, students, tables, verdicts
from training.evaluation.words import metric_words, model_words, protocol_words
from training.quality.schema import Quality


@dataclass(frozen=True)
class Section:
    """One section of the page. name: its anchor and its template. needs: the part without which it is left out."""

    name: str
    title: str
    needs: str
    view: Callable[[Quality], tables.View]


SECTIONS = (
    Section("verdicts", "What was asked for, and what was reached", "targets", verdicts.verdicts),
    Section("quality", "Quality on the test slice", "protocols", members.quality_of_models),
    Section("differences", "Which differences are real", "intervals", members.claimed_differences),
    Section("segments", "For whom it works", "protocols", members.segments),
    Section("leave_one_out", "What each member adds", "leave_one_out", members.leave_one_out),
    Section("attributes", "What attributes of items add", "attributes", members.attributes),
    Section("well_known", "Does it look right?", "well_known", members.well_known),
    Section("bought_again", "What is bought again", "bought_again", members.bought_again),
    Section("tuning", "How members were tuned", "tuning", members.tuning),
    Section("strategies", "Bagging, boosting, stacking", "strategies", members.strategies),
    Section("importance", "Which members the ensemble listens to", "importance", members.importance),
    Section("calibration", "Whether a score is a probability", "calibration", members.calibration),
    Section("retention", "What the student keeps", "retention", students.retention),
    Section("distillation", "What in distillation helps", "ablations", students.distillation),
    Section("compression", "Pruning and quantization", "compression", students.compression),
    Section("index", "How the catalogue is searched", "index", students.index),
    Section("serving", "What an answer costs", "serving", students.serving),
    Section("cold_start", "Cold start", "cold_start", students.cold_start),
    Section("explanations", "Whether explanations are true", "explanations", students.explanations),
    Section("experiments", "Whether experiments decide rightly", "experiments", experiments.experiments),
    Section("monitoring", "What the monitor finds, and when", "monitoring", monitoring.monitoring),
    Section("data", "The data", "data", setting.portrait),
    Section("protocol", "The protocol, in plain words", "protocols", setting.protocol),
    Section("again", "Run it again", "schema_version", setting.again),
)


def render(quality: Quality) -> str:
    """Render the page. quality: any part may be absent."""
    environment = _environment()
    present = [
        (section, Markup(environment.get_template(f"{section.name}.html.j2").render(view)))
        for section in SECTIONS
        if getattr(quality, section.needs) and (view := section.view(quality))
    ]
    return environment.get_template("page.html.j2").render(
        name=quality.bundle or quality.run or "a run",
        origin=origin(quality),
        sections=present,
        of_protocol=quality.of_protocol,
    )


def origin(quality: Quality) -> list[str]:
    """Say where the figures come from, as far as it is known: data, bundle, run, seed, machine."""
    machine = quality.machine
    named = {
        "": quality.data and quality.data.source,
        "bundle ": quality.bundle,
        "run ": quality.run,
        "seed ": quality.seed,
        "measured on ": machine and f"{machine.cpu}, {machine.cores} cores",
    }
    return [f"{what}{value}" for what, value in named.items() if value is not None]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("training.evaluation.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": tables.day,
        "dollars": tables.dollars,
        "metric": metric_words,
        "model": model_words,
        "number": tables.number,
        "protocol": protocol_words,
        "reached": verdicts.reached,
        "score": tables.score,
        "seconds": tables.seconds,
        "share": tables.share,
        "signed": tables.signed,
        "interval": tables.interval,
        "size": tables.size,
    }
    return environment
