"""The ensemble's members as they run: arrays, and the code that scores a history with them."""

from models.members.content import FittedContent
from models.members.factorization import FittedFactorization
from models.members.item_items import FittedEASE, FittedItemKNN, FittedVisitEASE
from models.members.member import FittedMember
from models.members.neighbours import FittedNeighbours
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
        FittedNeighbours,
        FittedNeuralCF,
        FittedSequential,
    )
}
"""The members by name, in the order of reports."""
