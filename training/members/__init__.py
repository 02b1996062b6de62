"""The ensemble's members: unlike models of the same question, each a function of a person's history."""

from training.members.content import Content
from training.members.ease import EASE, VisitEASE
from training.members.factorization import Factorization
from training.members.knn import ItemKNN
from training.members.member import Member
from training.members.neural import NeuralCF
from training.members.popularity import Popularity
from training.members.sequential import Sequential

MEMBERS: dict[str, type[Member]] = {
    member.name: member
    for member in (
        Popularity,
        Content,
        Factorization,
        ItemKNN,
        EASE,
        VisitEASE,
        NeuralCF,
        Sequential,
    )
}
"""By name, in the order of reports."""
