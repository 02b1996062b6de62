"""The ensemble's members: different models of one question, each of which scores items for a person's history."""

from training.members.content import Content
from training.members.ease import EASE, VisitEASE
from training.members.factorization import Factorization
from training.members.knn import ItemKNN
from training.members.member import Member
from training.members.neighbours import Neighbours
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
        Neighbours,
        NeuralCF,
        Sequential,
    )
}
"""The members by name, in the order in which reports list them."""
