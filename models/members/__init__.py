"""The ensemble's members as they run: arrays, and how they score a history."""

from models.members.content import FittedContent
from models.members.factorization import FittedFactorization
from models.members.item_items import FittedEASE, FittedItemKNN, FittedVisitEASE
from models.members.member import FittedMember
from models.members.neural import FittedNeuralCF
from models.members.popularity import FittedPopularity
from models.members.sequential import FittedSequential

FITTED_MEMBERS: dict[str, type[FittedMember]] = {
    member.name: member
    for member in (
        FittedPopularity,
        FittedContent,
        FittedFactorization,
        FittedItemKNN,
        FittedEASE,
        FittedVisitEASE,
        FittedNeuralCF,
        FittedSequential,
    )
}
"""By name, in the order of reports."""
